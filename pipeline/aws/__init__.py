"""The one way to AWS: nothing else in the pipeline imports boto3."""

from pipeline.aws.calls import Call
from pipeline.aws.client import Answer, AwsClient
from pipeline.aws.clock import Clock

__all__ = ["Answer", "AwsClient", "Call", "Clock"]
