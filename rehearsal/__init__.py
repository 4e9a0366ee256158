"""The whole journey on one machine: from training data to a promoted production endpoint.

The rehearsal only types what a person would type (`python -m local_aws`, `python -m pipeline`,
`python -m locust`) and reads the files that those commands leave; it holds no delivery logic.
"""
