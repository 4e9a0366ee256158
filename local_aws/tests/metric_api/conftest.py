"""A CloudWatch served by moto, with a store and alarms on a clock moved by hand."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from local_aws.cloudwatch import Alarms, MetricStore, install
from local_aws.places import HOME
from testbed.metrics import HandClock, alarm


@pytest.fixture
def clock() -> HandClock:
    return HandClock(float(int(time.time())))


@pytest.fixture
def store(clock: HandClock) -> MetricStore:
    return MetricStore(clock)


@pytest.fixture
def alarms(store: MetricStore, clock: HandClock) -> Alarms:
    install(lambda place: store if place == HOME else MetricStore(clock))
    return Alarms()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One moto server for all tests; each test installs a fresh store behind it."""
    install(lambda _: MetricStore(HandClock(0.0)))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def environ(url: str, alarms: Alarms) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


@pytest.fixture
def connect(environ: dict[str, str]) -> Callable[..., Any]:
    def client(region: str = "eu-west-1") -> Any:
        return boto3.client(
            "cloudwatch",
            region_name=region,
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture
def cloudwatch(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def pair(cloudwatch: Any) -> Any:
    """Two metric alarms, `slow` and `wrong`, both OK."""
    for name in ("slow", "wrong"):
        cloudwatch.put_metric_alarm(**alarm(name, TreatMissingData="ignore"))
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="drill")
    return cloudwatch
