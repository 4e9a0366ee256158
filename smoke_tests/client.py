"""A client of the endpoint, made with boto3's SageMaker Runtime client."""

from dataclasses import dataclass

import boto3
from botocore.config import Config

import golden
from golden.live_endpoint import invoke

# SageMaker answers within 60 s; a retry would hide the first failure.
CONFIG = Config(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70, max_pool_connections=64
)
SUCCESS = 200  # SageMaker's status for every success of a container


@dataclass(frozen=True)
class Reply:
    """An answer of the container, and the release and instance that its attributes name.

    `message` is as SageMaker passes it on: of an error it has the status and the body, but no content type.
    """

    message: golden.Answer
    release: str | None = None
    instance: str | None = None


class Client:
    """A client that sends each request once."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._runtime = boto3.client("sagemaker-runtime", config=CONFIG)

    @property
    def invocations_url(self) -> str:
        """The URL to which any HTTP client can send a signed request."""
        return f"{self._runtime.meta.endpoint_url}/endpoints/{self.endpoint}/invocations"

    @property
    def region(self) -> str:
        """The Region that a signature names."""
        return str(self._runtime.meta.region_name)

    def ask(self, request: golden.Request) -> Reply:
        """Send one request, and read the answer to its end; the container's own error is an answer too.

        Raises botocore's ClientError when SageMaker refused the request itself, and EventStreamError when a stream
        broke.
        """
        found = invoke(self._runtime, self.endpoint, request)
        named = dict(part.split("=", 1) for part in found.attributes.split(";") if "=" in part)
        return Reply(found.message, named.get("release"), named.get("instance"))
