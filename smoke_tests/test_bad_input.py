"""Input that no golden request has: it is answered, never by the container's own failure, and harms no later request."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import golden
from smoke_tests.client import Client
from smoke_tests.expectations import require_golden, send_unexpected


@pytest.fixture
def still_answers(client: Client, golden_set: golden.GoldenSet) -> Iterator[None]:
    """Require, after the test, that a golden request gets its golden answer."""
    yield
    require_golden(golden_set, [(0, client.ask(golden_set.case(0).request).message)])


@pytest.mark.usefixtures("still_answers")
@pytest.mark.parametrize("what", ["another content type", "an empty body", "half a body"])
def test_bad_input_is_answered_and_the_next_request_as_before(
    client: Client,
    unstreamed: golden.Case,
    what: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    request = unstreamed.request
    bad = {
        "another content type": replace(request, content_type="application/x-smoke-test"),
        "an empty body": replace(request, body=b""),
        "half a body": replace(request, body=request.body[: len(request.body) // 2]),
    }

    send_unexpected(client, bad[what], record_testsuite_property)
