"""AWS's time does not follow the machine's clock when that is set; clients read and send the machine's time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms, MetricStore, install
from testbed.metrics import alarm

START = 1_800_000_000.0


class SettableMachine:
    """A machine whose clock can be set, and time that passes whatever it shows."""

    def __init__(self) -> None:
        self.passed = 5_000.0
        self.offset = START - self.passed

    def clock(self, scale: float = 1.0) -> Clock:
        return Clock(scale, machine=lambda: self.passed + self.offset, monotonic=lambda: self.passed)


@pytest.fixture
def machine() -> SettableMachine:
    return SettableMachine()


@pytest.mark.parametrize("seconds", [-600.0, 600.0])
def test_setting_the_machines_clock_neither_stops_time_nor_repeats_it(
    machine: SettableMachine, seconds: float
) -> None:
    clock = machine.clock()
    machine.passed += 60
    machine.offset += seconds
    machine.passed += 1

    assert clock.now() == START + 61
    assert clock.machine_time() == START + 61 + seconds
    assert clock.shift() == seconds


def test_two_readings_apart_are_no_shift(machine: SettableMachine) -> None:
    clock = machine.clock()
    machine.offset += 0.01

    assert clock.shift() == 0
    assert clock.machine_time() == clock.now()


@pytest.fixture
def store(machine: SettableMachine) -> MetricStore:
    return MetricStore(machine.clock())


@pytest.fixture
def alarms(store: MetricStore) -> Alarms:
    install(lambda _: store)
    return Alarms()


@pytest.fixture
def cloudwatch(alarms: Alarms) -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "cloudwatch",
        region_name="eu-west-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.mark.parametrize("seconds", [-600.0, 600.0])
def test_an_alarm_fires_though_the_clock_was_set(
    cloudwatch: Any, alarms: Alarms, store: MetricStore, machine: SettableMachine, seconds: float
) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    store.put("Digits", "Latency", {"Variant": "A"}, 1.0)
    machine.passed += 60
    alarms.tick()
    calm = alarms.state("slow")
    machine.offset += seconds
    store.put("Digits", "Latency", {"Variant": "A"}, 99.0)
    machine.passed += 60
    alarms.tick()

    assert (calm, alarms.state("slow")) == ("OK", "ALARM")


@pytest.mark.parametrize("seconds", [-600.0, 600.0])
def test_clients_find_data_by_the_machines_time_whenever_it_was_set(
    cloudwatch: Any, store: MetricStore, machine: SettableMachine, seconds: float
) -> None:
    """Data of before move with the clock: what was a minute ago is a minute ago."""
    store.put("Digits", "Latency", {"Variant": "A"}, 1.0)
    machine.passed += 60
    machine.offset += seconds
    now = datetime.fromtimestamp(machine.passed + machine.offset, UTC)
    datum = {"MetricName": "Latency", "Dimensions": [{"Name": "Variant", "Value": "A"}], "Value": 2.0}
    cloudwatch.put_metric_data(Namespace="Digits", MetricData=[datum | {"Timestamp": now}])

    found = cloudwatch.get_metric_statistics(
        Namespace="Digits",
        MetricName="Latency",
        Dimensions=datum["Dimensions"],
        StartTime=datetime.fromtimestamp(now.timestamp() - 60, UTC),
        EndTime=datetime.fromtimestamp(now.timestamp() + 1, UTC),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert [(now - point["Timestamp"]).total_seconds() for point in found] == [60.0, 0.0]
    assert [point["Sum"] for point in found] == [1.0, 2.0]
