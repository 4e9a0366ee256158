"""InvokeEndpoint and InvokeEndpointWithResponseStream over pooled gevent connections: signed here, sent once."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from botocore.eventstream import EventStreamBuffer
from geventhttpclient import HTTPClient

from load_tests.payloads import ATTRIBUTES, Payload
from load_tests.signing import Signer

CONNECTIONS = 1000
CONNECT_SECONDS = 5
READ_SECONDS = 70  # SageMaker answers within 60 s, or with an error
STREAM_CONTENT_TYPE = "X-Amzn-SageMaker-Content-Type"


class Refused(Exception):
    """An error status from SageMaker or the model, such as "ModelError 500: the model broke"."""


@dataclass(frozen=True)
class Answer:
    """A successful answer, and the release and instance that its attributes name; a stream's parts are joined."""

    body: bytes
    content_type: str
    release: str
    instance: str


class Runtime:
    """A client of one endpoint, with the URL, region and credentials that boto3 would use.

    A POST is sent once, also after an error: geventhttpclient repeats only idempotent requests.
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
        """Send one request, and read the answer to its end.

        Raises Refused for an error status or an error within a stream, OSError or HTTPParseError without an answer.
        """
        is_stream = payload.request.is_stream
        path = f"{self._path}-response-stream" if is_stream else self._path
        headers = {"Host": self._host, **payload.headers}
        headers |= self._signer.sign(path, headers, payload.digest)
        response = self._client.request("POST", path, body=payload.request.body, headers=headers)
        body = response.read()
        if response.status_code != 200:
            raise Refused(describe_refusal(response.status_code, response.get("x-amzn-errortype"), body))
        identity = parse_identity(str(response.get(ATTRIBUTES, "")))
        content_type = str(response.get(STREAM_CONTENT_TYPE if is_stream else "Content-Type", ""))
        return Answer(join_stream(body) if is_stream else bytes(body), content_type, *identity)


def join_stream(body: bytes) -> bytes:
    """Join the parts of an event stream. Raises Refused for an error in it, botocore's errors for a broken one."""
    buffer, parts = EventStreamBuffer(), []
    buffer.add_data(bytes(body))
    for event in buffer:
        kind = event.headers.get(":message-type")
        if kind != "event":
            name = event.headers.get(":exception-type") or event.headers.get(":error-code")
            raise Refused(describe_refusal(200, name, event.payload))
        if event.headers.get(":event-type") == "PayloadPart":
            parts.append(event.payload)
    return b"".join(parts)


def parse_identity(attributes: str) -> tuple[str, str]:
    """Return release and instance from `release=…;instance=…`; "unknown" for what is missing."""
    found = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
    return found.get("release", "unknown"), found.get("instance", "unknown")


def describe_refusal(status: int, error_type: Any, body: bytes) -> str:
    """Return the error's type, its status (the model's own for a ModelError) and its message, as one line."""
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    document = document if isinstance(document, dict) else {}
    kind = str(error_type or document.get("__type") or "HTTP").split(":")[0].split("#")[-1]
    message = document.get("OriginalMessage") or document.get("Message") or document.get("message") or ""
    return f"{kind} {document.get('OriginalStatusCode', status)}: {message}"[:300]
