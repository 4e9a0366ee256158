"""The endpoint as boto3's SageMaker Runtime client sees it."""

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
    """One answer: what was predicted, as which content type, by which instance of which release."""

    body: bytes
    content_type: str
    release: str | None
    instance: str | None

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """What a JSON answer predicts."""
        found: list[dict[str, Any]] = json.loads(self.body)["predictions"]
        return found


@dataclass(frozen=True)
class Refusal:
    """A ModelError: the container's own status and sentence, as SageMaker passes them on."""

    status: int
    sentence: str


class Client:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._runtime = boto3.client("sagemaker-runtime", config=CONFIG)

    @property
    def invocations_url(self) -> str:
        """Where any HTTP client can send what it has signed."""
        return f"{self._runtime.meta.endpoint_url}/endpoints/{self.endpoint}/invocations"

    @property
    def region(self) -> str:
        """The Region that a signature names."""
        return str(self._runtime.meta.region_name)

    def predict(
        self, body: bytes, content_type: str = "application/json", accept: str = "application/json"
    ) -> Answer:
        """Ask once. Raises botocore's ClientError for anything but a good answer."""
        answer = self._runtime.invoke_endpoint(
            EndpointName=self.endpoint, Body=body, ContentType=content_type, Accept=accept
        )
        attributes = answer.get("CustomAttributes", "")
        says = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
        return Answer(
            body=answer["Body"].read(),
            content_type=answer["ContentType"],
            release=says.get("release"),
            instance=says.get("instance"),
        )

    def refusal(self, body: bytes, content_type: str = "application/json") -> Refusal:
        """Ask something that the container must refuse. Raises AssertionError when it answers.

        Raises botocore's ClientError when it was not the container that refused.
        """
        try:
            answer = self.predict(body, content_type)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError":
                raise
            message = json.loads(error.response["OriginalMessage"])
            return Refusal(status=error.response["OriginalStatusCode"], sentence=message["error"])
        raise AssertionError(f"the endpoint answered {answer.body[:200]!r} instead of refusing")
