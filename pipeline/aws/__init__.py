"""The one door to AWS: nothing else in the pipeline imports boto3."""

from pipeline.aws.calls import Call
from pipeline.aws.typed import Answer, Aws

__all__ = ["Answer", "Aws", "Call"]
