"""One invocation: the request in its own media type, a stream, and the errors of a model and of AWS."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from golden import Case, Expected, Request
from pipeline.aws.invocation import Answer, invoke
from pipeline.errors import AwsRefused, AwsUnreachable

HEADERS = {"ContentType": "text/csv", "CustomAttributes": "release=r;instance=i"}


class Runtime:
    """A boto3 client that gives one answer, or raises; notes what it was asked for."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, dict[str, Any]()

    def invoke_endpoint(self, **params: Any) -> Any:
        self.asked = params
        return self._give()

    def invoke_endpoint_with_response_stream(self, **params: Any) -> Any:
        self.asked = params | {"is_stream": True}
        return self._give()

    def _give(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def refused(code: str, **members: Any) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, **members}
    return ClientError(answer, "InvokeEndpoint")


def test_a_request_is_sent_in_its_own_media_type() -> None:
    runtime = Runtime({"Body": BytesIO(b"a,1"), **HEADERS})
    answer = invoke(
        runtime, "e", Request(b"\x89PNG", "image/png", accept="text/csv", custom_attributes="k=v")
    )

    assert runtime.asked == {
        "EndpointName": "e",
        "Body": b"\x89PNG",
        "ContentType": "image/png",
        "Accept": "text/csv",
        "CustomAttributes": "k=v",
    }
    assert answer == Answer("r", "i", b"a,1", 200, "text/csv")


def test_headers_that_a_case_does_not_name_are_not_sent() -> None:
    runtime = Runtime({"Body": BytesIO(b""), **HEADERS})
    invoke(runtime, "e", Request(b"{}"))

    assert runtime.asked == {"EndpointName": "e", "Body": b"{}", "ContentType": "application/json"}


def parts(*contents: bytes, then: Exception | None = None) -> Iterator[dict[str, Any]]:
    yield from ({"PayloadPart": {"Bytes": content}} for content in contents)
    if then is not None:
        raise then


def test_the_parts_of_a_stream_are_joined() -> None:
    runtime = Runtime({"Body": parts(b"a", b",1"), **HEADERS})
    answer = invoke(runtime, "e", Request(b"x", is_stream=True))

    assert runtime.asked["is_stream"]
    assert answer == Answer("r", "i", b"a,1", 200, "text/csv")


@pytest.mark.parametrize(
    ("broken", "error"),
    [(refused("ModelStreamError"), AwsRefused), (ProtocolError("connection broken"), AwsUnreachable)],
)
def test_a_stream_that_breaks_is_an_error(broken: Exception, error: type[Exception]) -> None:
    runtime = Runtime({"Body": parts(b"a", then=broken), **HEADERS})

    with pytest.raises(error, match="invoke_endpoint_with_response_stream"):
        invoke(runtime, "e", Request(b"x", is_stream=True))


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_error_of_a_model_is_an_answer_with_its_own_status(is_stream: bool) -> None:
    failure = refused("ModelError", OriginalStatusCode=415, OriginalMessage="expected text/csv")
    answer = invoke(Runtime(failure), "e", Request(b"x", is_stream=is_stream))

    assert answer == Answer(None, None, b"expected text/csv", status=415)
    assert answer.difference(Case(Request(b"x"), Expected(b"expected text/csv", "text/plain", 415))) is None
    assert "status is 415, not 200" in str(answer.difference(Case(Request(b"x"), Expected(b"x"))))


@pytest.mark.parametrize("members", [{}, {"OriginalStatusCode": 0, "OriginalMessage": ""}])
def test_an_error_without_an_answer_of_the_model_is_raised(members: dict[str, Any]) -> None:
    """Status 0: the model gave none in time."""
    with pytest.raises(AwsRefused, match="invoke_endpoint: ModelError: no"):
        invoke(Runtime(refused("ModelError", **members)), "e", Request(b"x"))
