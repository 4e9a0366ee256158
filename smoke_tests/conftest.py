"""The endpoint under test, and the golden set and API description to test it by."""

import os
from pathlib import Path

import boto3
import pytest

from smoke_tests.client import Client
from smoke_tests.golden import Golden, fetch_golden, parse_golden
from smoke_tests.openapi import DOCUMENT, ApiDescription, read_openapi


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smoke tests")
    group.addoption(
        "--endpoint", default=os.environ.get("ENDPOINT"), help="name of the endpoint, or ENDPOINT"
    )
    group.addoption("--golden", type=Path, help="golden.json; default: from the endpoint's own model archive")
    group.addoption(
        "--openapi", type=Path, help="API description of the release; default: container/openapi.json"
    )
    group.addoption("--release", help="the release that must answer; default: any, but a single one")
    group.addoption("--instances", type=int, help="how many must answer; default: DescribeEndpoint's count")
    group.addoption("--latency-budget-ms", type=float, default=500.0, help="for 95 of 100 requests")
    group.addoption("--payload-limit-mb", type=int, default=25, help="the largest body, MB of 2^20 bytes")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--endpoint"):
        raise pytest.UsageError("Name the endpoint: --endpoint NAME, or ENDPOINT=NAME in the environment.")


@pytest.fixture(scope="session")
def endpoint(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("--endpoint"))


@pytest.fixture(scope="session")
def client(endpoint: str) -> Client:
    return Client(endpoint)


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config, endpoint: str) -> Golden:
    path: Path | None = pytestconfig.getoption("--golden")
    return fetch_golden(endpoint) if path is None else parse_golden(path.read_text())


@pytest.fixture(scope="session")
def api(pytestconfig: pytest.Config) -> ApiDescription:
    return read_openapi(pytestconfig.getoption("--openapi") or DOCUMENT)


@pytest.fixture(scope="session")
def instances(pytestconfig: pytest.Config, endpoint: str) -> int:
    """Return the number of distinct instances that must answer."""
    required: int | None = pytestconfig.getoption("--instances")
    if required is not None:
        return required
    described = boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return sum(int(variant["CurrentInstanceCount"]) for variant in described["ProductionVariants"])
