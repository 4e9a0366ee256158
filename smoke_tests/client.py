"""A client of the endpoint, made with boto3's SageMaker Runtime client."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# SageMaker answers within 60 s; a retry would hide the first failure.
CONFIG = Config(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=70, max_pool_connections=64
)


@dataclass(frozen=True)
class Answer:
    """One answer: its body and content type, and the release and instance that its attributes name."""

    body: bytes
    content_type: str
    release: str | None
    instance: str | None

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """The predictions of a JSON answer."""
        found: list[dict[str, Any]] = json.loads(self.body)["predictions"]
        return found


@dataclass(frozen=True)
class Refusal:
    """A ModelError: the container's own status and error sentence, as SageMaker passes them on."""

    status: int
    sentence: str


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

    def predict(
        self, body: bytes, content_type: str = "application/json", accept: str = "application/json"
    ) -> Answer:
        """Send one request. Raises botocore's ClientError for any status but 200."""
        answer = self._runtime.invoke_endpoint(
            EndpointName=self.endpoint, Body=body, ContentType=content_type, Accept=accept
        )
        attributes = answer.get("CustomAttributes", "")
        found = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
        return Answer(
            body=answer["Body"].read(),
            content_type=answer["ContentType"],
            release=found.get("release"),
            instance=found.get("instance"),
        )

    def refusal(self, body: bytes, content_type: str = "application/json") -> Refusal:
        """Send a request that the container must refuse. Raises AssertionError when it is answered.

        Raises botocore's ClientError when SageMaker refused it, not the container.
        """
        try:
            answer = self.predict(body, content_type)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError":
                raise
            message = json.loads(error.response["OriginalMessage"])
            return Refusal(status=error.response["OriginalStatusCode"], sentence=message["error"])
        raise AssertionError(f"the endpoint answered {answer.body[:200]!r} instead of refusing")
