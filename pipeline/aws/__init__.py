"""The one door to AWS: nothing else in the pipeline imports boto3."""

from pipeline.aws.typed import Answer, Aws
from pipeline.calls import Call

__all__ = ["Answer", "Aws", "Call"]
