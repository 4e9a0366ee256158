"""The container that SageMaker runs: CPUs, GPUs, limits, identity, paths, processes and logging."""
