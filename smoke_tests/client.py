"""A client of the endpoint, made with boto3's SageMaker Runtime client."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import golden

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
        words = {"EndpointName": self.endpoint, "Body": request.body, "ContentType": request.content_type}
        words |= {"Accept": request.accept} if request.accept else {}
        words |= {"CustomAttributes": request.custom_attributes} if request.custom_attributes else {}
        try:
            if request.is_stream:
                answer = self._runtime.invoke_endpoint_with_response_stream(**words)
                body = _join(answer["Body"])
            else:
                answer = self._runtime.invoke_endpoint(**words)
                body = answer["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError" or "OriginalStatusCode" not in error.response:
                raise
            text = error.response.get("OriginalMessage") or ""
            return Reply(golden.Answer(error.response["OriginalStatusCode"], "", text.encode()))
        attributes = answer.get("CustomAttributes", "")
        found = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
        message = golden.Answer(SUCCESS, answer.get("ContentType", ""), body)
        return Reply(message, found.get("release"), found.get("instance"))


def _join(events: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(event["PayloadPart"]["Bytes"] for event in events if "PayloadPart" in event)
