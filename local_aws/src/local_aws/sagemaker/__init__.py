"""Live SageMaker endpoints: the API, the deployments, and the fleets of instances behind them."""
