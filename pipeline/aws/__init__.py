"""The one way to AWS: nothing else in the pipeline imports boto3."""

from pipeline.aws.calls import Call
from pipeline.aws.client import AwsClient
from pipeline.aws.clock import Clock
from pipeline.aws.invocation import Answer

__all__ = ["Answer", "AwsClient", "Call", "Clock"]
