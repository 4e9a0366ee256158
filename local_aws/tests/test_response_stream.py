"""InvokeEndpointWithResponseStream: pieces as they come, and errors before, within and after them."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

import local_aws
from local_aws.event_stream import stream_error
from testbed.serving import SETTINGS, Serving


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, str]]:
    """Start an AWS that lets a stream last 1 s."""
    root = tmp_path_factory.mktemp("streams")
    with local_aws.start(**SETTINGS, stream_timeout_seconds=1, state_dir=root, cache_dir=root) as aws:
        serving = Serving(aws)
        yield serving, serving.endpoint(serving.config("one"))


def ask(endpoint: tuple[Serving, str], body: bytes, **request: Any) -> dict[str, Any]:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint_with_response_stream
    answer: dict[str, Any] = call(EndpointName=name, Body=body, **request)
    return answer


def read(answer: dict[str, Any], pieces: list[bytes]) -> None:
    """Read an answer to its end, into `pieces`."""
    with closing(answer["Body"]) as events:
        pieces.extend(event["PayloadPart"]["Bytes"] for event in events)


@pytest.mark.starts_processes
def test_the_pieces_arrive_while_the_container_still_writes(endpoint: tuple[Serving, str]) -> None:
    answer = ask(endpoint, b"stream 6")
    with closing(answer["Body"]) as events:
        pieces, times = zip(
            *((event["PayloadPart"]["Bytes"], time.monotonic()) for event in events), strict=True
        )

    assert b"".join(pieces) == b"".join(b"piece %d;" % n for n in range(6))
    assert len(pieces) > 1
    assert times[-1] - times[0] > 0.15, "0.25 s lie between the first piece and the last"
    assert answer["ContentType"] == "text/event-stream"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"].startswith("release=one;")


@pytest.mark.starts_processes
def test_the_accept_header_reaches_the_container(endpoint: tuple[Serving, str]) -> None:
    answer = ask(endpoint, b"hello", Accept="text/event-stream", ContentType="text/plain")
    pieces: list[bytes] = []
    read(answer, pieces)

    assert b'"Accept": "text/event-stream"' in b"".join(pieces)
    assert b'"Content-Type": "text/plain"' in b"".join(pieces)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("end", "sentence"), [("broken", "The connection to the container broke"), ("endless", "timed out")]
)
def test_a_stream_that_does_not_end_well_ends_in_a_model_stream_error(
    endpoint: tuple[Serving, str], end: str, sentence: str
) -> None:
    pieces: list[bytes] = []
    answer = ask(endpoint, f"stream 2 {end}".encode())
    with pytest.raises(EventStreamError) as caught:
        read(answer, pieces)

    assert b"".join(pieces) == b"piece 0;piece 1;"
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert sentence in caught.value.response["Error"]["Message"]


def test_the_error_event_has_the_members_of_the_api() -> None:
    """Botocore's EventStreamError shows no ErrorCode: it is read from the frame itself."""
    buffer = EventStreamBuffer()
    buffer.add_data(stream_error("StreamBroken", "ü"))
    (event,) = buffer

    assert event.headers[":exception-type"] == "ModelStreamError"
    assert json.loads(event.payload) == {"Message": "ü", "ErrorCode": "StreamBroken"}


@pytest.mark.starts_processes
def test_an_error_before_the_first_piece_is_a_model_error(endpoint: tuple[Serving, str]) -> None:
    with pytest.raises(ClientError) as caught:
        ask(endpoint, b"status 503")

    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 503


@pytest.mark.starts_processes
def test_streams_are_counted_with_the_status_they_end_in(endpoint: tuple[Serving, str]) -> None:
    serving, _ = endpoint
    name = serving.endpoint(serving.config("counted"))
    read(ask((serving, name), b"stream 1"), [])
    broken = ask((serving, name), b"stream 1 broken")
    with pytest.raises(EventStreamError):
        read(broken, [])

    (found,) = [e for e in serving.aws.status()["endpoints"] if e["name"] == name]
    assert list(found["requests"].values()) == [{"200": 1, "0": 1}]


@pytest.mark.starts_processes
def test_an_instance_that_leaves_finishes_its_streams(endpoint: tuple[Serving, str]) -> None:
    serving, _ = endpoint
    name = serving.endpoint(serving.config("old"))
    answer, pieces = ask((serving, name), b"stream 12"), list[bytes]()
    serving.update(name, serving.config("new"))
    read(answer, pieces)

    assert pieces[-1].endswith(b"piece 11;")
    assert serving.settled(name)["EndpointStatus"] == "InService"
