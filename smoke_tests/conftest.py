"""The endpoint under test, and the golden set and API description to test it by."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

import golden
from smoke_tests.client import Client
from smoke_tests.openapi import ApiDescription
from smoke_tests.rows import Rows, read_rows
from smoke_tests.subject import Subject, find_subject

SUBJECT = pytest.StashKey[Subject]()
ROWS = pytest.StashKey[Rows | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smoke tests")
    group.addoption(
        "--endpoint", default=os.environ.get("ENDPOINT"), help="name of the endpoint, or ENDPOINT"
    )
    group.addoption(
        "--golden",
        type=Path,
        help="golden set; default: the archive's own, or the one stored with the release",
    )
    group.addoption(
        "--openapi",
        type=Path,
        help="API description of the release; default: this project's, if the model archive names it",
    )
    group.addoption("--release", help="the release that must answer; default: any, but a single one")
    group.addoption("--instances", type=int, help="how many must answer; default: DescribeEndpoint's count")
    group.addoption("--latency-budget-ms", type=float, default=500.0, help="for 95 of 100 requests")
    group.addoption("--payload-limit-mb", type=int, default=25, help="the largest body, MB of 2^20 bytes")


def pytest_configure(config: pytest.Config) -> None:
    """Find the golden set and the API description; without them no test can run."""
    endpoint = config.getoption("--endpoint")
    if not endpoint:
        raise pytest.UsageError("Name the endpoint: --endpoint NAME, or ENDPOINT=NAME in the environment.")
    try:
        subject = find_subject(endpoint, config.getoption("--golden"), config.getoption("--openapi"))
    except (LookupError, OSError, golden.GoldenError, BotoCoreError, ClientError) as error:
        raise pytest.UsageError(f"The golden set of {endpoint} cannot be read: {error}") from error
    rows = None if subject.api is None else read_rows(subject.golden_set, subject.api)
    if subject.api is not None and rows is None:
        subject = replace(
            subject, api=None, why_no_api="no API tests: no golden request is of the described API"
        )
    config.stash[SUBJECT], config.stash[ROWS] = subject, rows


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask the golden requests first: their differences say most, and a report begins with them."""
    items.sort(key=lambda item: item.path.name != "test_golden.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the tests compared, and what they did not."""
    subject = config.stash[SUBJECT]
    terminalreporter.write_line(f"golden set: {len(subject.golden_set)} cases")
    if subject.note:
        terminalreporter.write_line(f"note: {subject.note}")


@pytest.fixture(scope="session", autouse=True)
def _note(subject: Subject, record_testsuite_property: Callable[[str, object], None]) -> None:
    """Write what is compared by shape alone into the JUnit report, where the pipeline reads it; it counts skips."""
    if subject.golden_set.note:
        record_testsuite_property("note", subject.golden_set.note)


@pytest.fixture(scope="session")
def subject(pytestconfig: pytest.Config) -> Subject:
    return pytestconfig.stash[SUBJECT]


@pytest.fixture(scope="session")
def endpoint(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("--endpoint"))


@pytest.fixture(scope="session")
def client(endpoint: str) -> Client:
    return Client(endpoint)


@pytest.fixture(scope="session")
def golden_set(subject: Subject) -> golden.GoldenSet:
    return subject.golden_set


@pytest.fixture(scope="session")
def answered(golden_set: golden.GoldenSet) -> golden.GoldenSet:
    """Return the golden cases whose right answer is a success."""
    if not golden_set.answered:
        pytest.skip("no golden case is answered with a success")
    return golden.GoldenSet(golden_set.answered, golden_set.digest)


@pytest.fixture(scope="session")
def unstreamed(answered: golden.GoldenSet) -> golden.Case:
    """Return a golden case that any HTTP client can send."""
    case = next((case for case in answered if not case.request.is_stream), None)
    if case is None:
        pytest.skip("every golden case is asked for as a stream")
    return case


@pytest.fixture(scope="session")
def api(subject: Subject) -> ApiDescription:
    """Return the API description; tests that need one don't apply to a release without it."""
    if subject.api is None:
        pytest.skip(subject.why_no_api)
    return subject.api


@pytest.fixture(scope="session")
def rows(pytestconfig: pytest.Config, api: ApiDescription) -> Rows:
    found = pytestconfig.stash[ROWS]
    assert found is not None, f"an API description without rows: {api.request_types}"
    return found


@pytest.fixture(scope="session")
def instances(pytestconfig: pytest.Config, endpoint: str) -> int:
    """Return the number of distinct instances that must answer."""
    required: int | None = pytestconfig.getoption("--instances")
    if required is not None:
        return required
    described = boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return sum(int(variant["CurrentInstanceCount"]) for variant in described["ProductionVariants"])
