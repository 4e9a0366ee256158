"""Invoke an endpoint once, in any media type, plain or as a response stream."""

from dataclasses import dataclass
from typing import Any

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

import golden
from pipeline.aws.refusals import explained, lost_answer

RUNTIME = "sagemaker-runtime"
_PLAIN, _STREAM = "invoke_endpoint", "invoke_endpoint_with_response_stream"


@dataclass(frozen=True)
class Answer:
    """The answer of an endpoint. A stream's parts are joined.

    `release` and `instance` None: the answer does not name them, as the error of a model, whose headers SageMaker drops.
    `content_type` empty: not known, for the same reason.
    """

    release: str | None
    instance: str | None
    body: bytes
    status: int = 200
    content_type: str = ""

    def difference(self, case: golden.Case) -> str | None:
        """Name the first place in which this differs from the golden answer; None: they agree."""
        return golden.first_difference(case, golden.Answer(self.status, self.content_type, self.body))


def invoke(client: Any, endpoint: str, request: golden.Request) -> Answer:
    """Send the request once, without a retry; an error of the model is an answer with the model's own status.

    Raises AwsRefused for other errors and for a broken stream, and AwsUnreachable.
    """
    operation = _STREAM if request.is_stream else _PLAIN
    try:
        answer = getattr(client, operation)(EndpointName=endpoint, **_parameters(request))
        body = _joined(answer["Body"]) if request.is_stream else answer["Body"].read()
    except ClientError as error:
        status = int(error.response.get("OriginalStatusCode", 0))  # 0: the model has not answered
        if not status:
            raise explained(f"{RUNTIME} {operation}", error) from error
        return Answer(None, None, str(error.response.get("OriginalMessage", "")).encode(), status)
    except BotoCoreError as error:
        raise explained(f"{RUNTIME} {operation}", error) from error
    except urllib3.exceptions.HTTPError as error:  # botocore wraps it for a plain body alone
        raise lost_answer(f"{RUNTIME} {operation}", error) from error
    identity = dict(
        part.split("=", 1) for part in answer.get("CustomAttributes", "").split(";") if "=" in part
    )
    return Answer(
        release=identity.get("release"),
        instance=identity.get("instance"),
        body=body,
        content_type=answer.get("ContentType", ""),
    )


def _parameters(request: golden.Request) -> dict[str, Any]:
    params: dict[str, Any] = {"Body": request.body, "ContentType": request.content_type}
    params |= {"Accept": request.accept} if request.accept else {}
    return params | ({"CustomAttributes": request.custom_attributes} if request.custom_attributes else {})


def _joined(stream: Any) -> bytes:
    """Join the parts of a response stream. An error within the stream is raised as a ClientError."""
    return b"".join(event["PayloadPart"]["Bytes"] for event in stream if "PayloadPart" in event)
