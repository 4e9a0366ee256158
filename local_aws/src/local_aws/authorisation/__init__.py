"""Authorisation: who may do what to what, as IAM decides it (LOCAL_AWS_IAM=enforce).

`conditions`, `policies` and `decision` are pure; `reference`, `operations` and `s3` map a request to IAM's actions and
resources; `callers` and `resource_policies` read moto; `gate` stands before every call.
"""
