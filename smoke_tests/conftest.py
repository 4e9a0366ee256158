"""Which endpoint the smoke tests ask, and what they know of it."""

import os
from pathlib import Path

import boto3
import pytest

from smoke_tests.client import Client
from smoke_tests.declared import DOCUMENT, Declared, read_declared
from smoke_tests.golden import Golden, fetch_golden, parse_golden


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("smoke tests")
    group.addoption(
        "--endpoint", default=os.environ.get("ENDPOINT"), help="name of the endpoint, or ENDPOINT"
    )
    group.addoption("--golden", type=Path, help="golden.json; default: from the endpoint's own model archive")
    group.addoption("--openapi", type=Path, help="what the release declares; default: container/openapi.json")
    group.addoption("--release", help="the release that must answer; default: any, but a single one")
    group.addoption("--instances", type=int, help="how many must answer; default: as many as it counts")
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
def declared(pytestconfig: pytest.Config) -> Declared:
    return read_declared(pytestconfig.getoption("--openapi") or DOCUMENT)


@pytest.fixture(scope="session")
def instances(pytestconfig: pytest.Config, endpoint: str) -> int:
    """How many distinct instances must be heard."""
    wanted: int | None = pytestconfig.getoption("--instances")
    if wanted is not None:
        return wanted
    described = boto3.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return sum(int(variant["CurrentInstanceCount"]) for variant in described["ProductionVariants"])
