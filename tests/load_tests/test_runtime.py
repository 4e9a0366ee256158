"""The answers of InvokeEndpointWithResponseStream: their parts are joined, and an error among them is one."""

import pytest
from botocore.eventstream import ChecksumMismatch

from load_tests.runtime import Refused, join_stream
from local_aws.event_stream import payload_part, stream_error


def test_the_parts_of_a_stream_are_joined_in_order() -> None:
    assert join_stream(payload_part(b"one ") + payload_part(b"two")) == b"one two"


def test_an_error_within_a_stream_is_a_failure_with_its_name() -> None:
    broken = payload_part(b"one ") + stream_error("StreamBroken", "The connection broke")

    with pytest.raises(Refused, match=r"^ModelStreamError 200: The connection broke$"):
        join_stream(broken)


def test_a_damaged_stream_is_a_failure() -> None:
    damaged = bytearray(payload_part(b"one"))
    damaged[-6] ^= 1

    with pytest.raises(ChecksumMismatch):
        join_stream(bytes(damaged))
