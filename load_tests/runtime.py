"""InvokeEndpoint over pooled connections of gevent's: signed here, sent once, never repeated."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from geventhttpclient import HTTPClient

from load_tests.payloads import Payload
from load_tests.signing import Signer

CONNECTIONS = 1000
CONNECT_SECONDS = 5
READ_SECONDS = 70  # SageMaker answers within 60 s, or with an error
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Refused(Exception):
    """SageMaker's or the model's refusal: "ModelError 500: the model broke", the same for all of one kind."""


@dataclass(frozen=True)
class Answer:
    body: bytes
    release: str
    instance: str


class Runtime:
    """Invokes one endpoint. URL, region and credentials are those that boto3 would use.

    The client sends a POST once: after an error it is not sent again (geventhttpclient repeats only idempotent ones).
    """

    def __init__(self, endpoint: str) -> None:
        session = boto3.Session()
        meta = session.client("sagemaker-runtime").meta
        url = urlsplit(meta.endpoint_url)
        credentials = session.get_credentials()
        self._signer = Signer(credentials.get_frozen_credentials, meta.region_name, "sagemaker")
        self._path = f"/endpoints/{quote(endpoint, safe='')}/invocations"
        self._host = url.netloc
        self._client = HTTPClient.from_url(
            meta.endpoint_url,
            concurrency=CONNECTIONS,
            connection_timeout=CONNECT_SECONDS,
            network_timeout=READ_SECONDS,
        )

    def invoke(self, payload: Payload) -> Answer:
        """Send one request. Raises Refused for an error status, OSError or HTTPParseError without an answer."""
        headers = {"Host": self._host, "Content-Type": payload.content_type}
        headers |= self._signer.sign(self._path, headers, payload.digest)
        response = self._client.request("POST", self._path, body=payload.body, headers=headers)
        body = response.read()
        if response.status_code != 200:
            raise Refused(refusal(response.status_code, response.get("x-amzn-errortype"), body))
        return Answer(body, *identity(str(response.get(ATTRIBUTES, ""))))


def identity(attributes: str) -> tuple[str, str]:
    """Return release and instance from `release=…;instance=…`; "unknown" for what is not said."""
    said = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
    return said.get("release", "unknown"), said.get("instance", "unknown")


def refusal(status: int, error_type: Any, body: bytes) -> str:
    """Name the error, the status the model gave if it was the model's, and the message."""
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    kind = str(error_type or said.get("__type") or "HTTP").split(":")[0].split("#")[-1]
    message = said.get("OriginalMessage") or said.get("Message") or said.get("message") or ""
    return f"{kind} {said.get('OriginalStatusCode', status)}: {message}"[:300]
