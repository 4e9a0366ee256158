"""Load tests of a live SageMaker endpoint: Locust users, their schedule, what they record, and the report."""
