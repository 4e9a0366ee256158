"""Smoke tests of a live SageMaker endpoint: `python -m pytest smoke_tests --endpoint NAME`."""
