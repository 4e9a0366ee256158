"""A request larger than allowed is refused for its size, and one of the largest size is not."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

import golden
from smoke_tests.client import Client
from smoke_tests.expectations import require_golden
from smoke_tests.rows import Rows

MEGABYTE = 1024 * 1024
TOO_LARGE = 413


@pytest.fixture
def limit(pytestconfig: pytest.Config) -> int:
    """Return the largest body, in bytes."""
    return int(pytestconfig.getoption("--payload-limit-mb")) * MEGABYTE


def padded(request: golden.Request, size: int) -> golden.Request:
    """Append spaces. They may follow JSON without changing it."""
    return replace(request, body=request.body.ljust(size))


def test_a_request_of_exactly_the_limit_is_answered(client: Client, rows: Rows, limit: int) -> None:
    """Only of a model of the described API is it known that spaces don't matter."""
    case = rows.case()
    case = replace(case, request=padded(case.request, limit))
    all_rows = golden.GoldenSet((case,), "")

    require_golden(all_rows, [(0, client.ask(case.request).message)])


def test_one_byte_more_is_refused_for_its_size(client: Client, unstreamed: golden.Case, limit: int) -> None:
    try:
        status = client.ask(padded(unstreamed.request, limit + 1)).message.status  # the container's
    except ClientError as refused:
        status = int(refused.response["ResponseMetadata"]["HTTPStatusCode"])  # SageMaker's own

    assert status == TOO_LARGE


def test_the_endpoint_still_answers_afterwards(client: Client, golden_set: golden.GoldenSet) -> None:
    require_golden(golden_set, [(0, client.ask(golden_set.case(0).request).message)])
