"""The whole journey on one machine: from training data to a promoted production endpoint.

The rehearsal runs the commands that a person would type (`python -m local_aws`, `python -m pipeline`,
`python -m locust`) and reads the files that they write. It contains no delivery logic.
"""
