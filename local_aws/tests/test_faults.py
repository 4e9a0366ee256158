"""Faults of instances and fleets."""

import datetime
import time

import pytest

from local_aws.faults import Faults
from local_aws.testing import wait_until
from testbed.deployment_configs import blue_green, rolling
from testbed.serving import SETTINGS, Serving, refused


def healthy(serving: Serving, endpoint: str) -> set[str]:
    fleets = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)["fleets"]
    return {i["id"] for fleet in fleets for i in fleet["instances"] if i["healthy"]}


def seconds_of(serving: Serving, endpoint: str) -> float:
    began = time.monotonic()
    serving.invoke(endpoint)
    return time.monotonic() - began


def statistic(serving: Serving, namespace: str, metric: str, name: str, endpoint: str) -> float:
    """Read one statistic of a new endpoint's metric over the last minute of the wall clock; 0 without data."""
    now = datetime.datetime.now(datetime.UTC)
    points = serving.aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=now - datetime.timedelta(seconds=60),
        EndTime=now + datetime.timedelta(seconds=60),
        Period=60,
        Statistics=[name],
    )["Datapoints"]
    values = [float(point[name]) for point in points]
    return sum(values) if name == "Sum" else max(values, default=0.0)


@pytest.mark.starts_processes
def test_a_crash_kills_one_instance_which_is_replaced(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", instances=2))
    before = healthy(serving, name)
    with serving.aws.fault("crash", endpoint=name):
        wait_until(lambda: len(healthy(serving, name) - before) == 1, "one is replaced")

    assert len(healthy(serving, name) & before) == 1


@pytest.mark.starts_processes
def test_an_instance_killed_for_memory_had_none_left_and_is_replaced(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", instances=2))
    before = healthy(serving, name)
    with serving.aws.fault("out-of-memory", endpoint=name):
        wait_until(lambda: len(healthy(serving, name) - before) == 1, "one is replaced")

    assert len(healthy(serving, name) & before) == 1
    assert statistic(serving, "/aws/sagemaker/Endpoints", "MemoryUtilization", "Maximum", name) == 100


@pytest.mark.starts_processes
def test_metrics_are_late_while_the_fault_is_on_and_of_nobody_else(serving: Serving) -> None:
    late, other = serving.endpoint(serving.config("one")), serving.endpoint(serving.config("two"))

    def counted(endpoint: str) -> float:
        return statistic(serving, "AWS/SageMaker", "Invocations", "Sum", endpoint)

    with serving.aws.fault("late-metrics", endpoint=late, amount=86400):
        for name in (late, other):
            serving.invoke(name)
        during = counted(late), counted(other)

    assert during == (0, SETTINGS["time_scale"])
    assert counted(late) == SETTINGS["time_scale"]


def test_metrics_of_one_fleet_alone_may_be_late() -> None:
    faults = Faults(lambda _, config: "new" if config == "two" else "old")
    faults.switch_on({"kind": "late-metrics", "endpoint": "digits", "fleet": "new", "amount": 120})

    assert faults.lateness("digits", "two") == 120
    assert [faults.lateness(*of) for of in (("digits", "one"), ("digits", None), ("other", "two"))] == [0] * 3


@pytest.mark.starts_processes
def test_a_hanging_instance_answers_nothing_and_is_replaced(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", instances=1))
    before = healthy(serving, name)
    with serving.aws.fault("hang", endpoint=name, times=1):
        wait_until(lambda: healthy(serving, name) - before, "another one")

    assert healthy(serving, name).isdisjoint(before)
    assert serving.invoke(name).release == "one"


@pytest.mark.starts_processes
def test_a_slow_endpoint_is_slow_until_the_fault_is_off(serving: Serving) -> None:
    name, other = serving.endpoint(serving.config("one")), serving.endpoint(serving.config("two"))
    with serving.aws.fault("slow", endpoint=name, amount=400):
        slow, beside = seconds_of(serving, name), seconds_of(serving, other)

    assert slow > 0.4 > beside
    assert seconds_of(serving, name) < 0.4


@pytest.mark.starts_processes
def test_a_share_of_the_requests_fails_and_is_counted_as_5xx(serving: Serving) -> None:
    config = serving.config("one")
    name = serving.endpoint(config)
    with serving.aws.fault("errors", endpoint=name, amount=40), serving.traffic(name) as traffic:
        wait_until(lambda: len(traffic.answers) + len(traffic.failures) > 200, "200 requests")
    failed = len(traffic.failures) / (len(traffic.answers) + len(traffic.failures))

    assert 0.25 < failed < 0.55
    (found,) = [e for e in serving.aws.status()["endpoints"] if e["name"] == name]
    assert found["requests"][config]["500"] == len(traffic.failures)


@pytest.mark.starts_processes
def test_errors_of_the_new_fleet_roll_a_deployment_back_and_spare_the_old_one(serving: Serving) -> None:
    old, new = serving.config("old", instances=2), serving.config("new", instances=2)
    name = serving.endpoint(old)
    alarm = serving.error_alarm(name, new)
    policy = blue_green("CANARY", wait=3600, alarms=(alarm,))
    with (
        serving.aws.fault("errors", endpoint=name, fleet="new", amount=100),
        serving.traffic(name) as traffic,
    ):
        serving.update(name, new, DeploymentConfig=policy)
        description = serving.settled(name)

    assert description["EndpointConfigName"] == old
    assert alarm in description["FailureReason"]
    assert traffic.failures
    assert set(traffic.releases()) == {"old"}


@pytest.mark.starts_processes
def test_a_new_fleet_that_never_gets_healthy_leaves_the_old_one(serving: Serving) -> None:
    old = serving.config("old")
    name = serving.endpoint(old)
    with serving.aws.fault("unhealthy", endpoint=name, fleet="new"):
        serving.update(name, serving.config("new"), DeploymentConfig=blue_green(maximum=600))
        description = serving.settled(name)

    assert (description["EndpointConfigName"], description["EndpointStatus"]) == (old, "InService")
    assert "MaximumExecutionTimeoutInSeconds" in description["FailureReason"]


@pytest.mark.starts_processes
def test_a_creation_without_capacity_fails_with_its_reason(serving: Serving) -> None:
    with serving.aws.fault("no-capacity"):
        description = serving.settled(serving.begin(serving.config("one")))

    assert description["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in description["FailureReason"]


@pytest.mark.starts_processes
def test_a_rollback_without_capacity_leaves_both_releases_in_service_until_the_next_update(
    serving: Serving,
) -> None:
    old, alarm = serving.config("old", instances=2), serving.alarm()
    name = serving.endpoint(old)
    with serving.aws.fault("no-capacity", endpoint=name, fleet="old"), serving.traffic(name) as traffic:
        policy = rolling(wait=600, alarms=(alarm,))
        serving.update(name, serving.config("new", instances=2), DeploymentConfig=policy)
        wait_until(lambda: _stands(serving, name, old) == 1, "an old instance is gone")
        serving.set_alarm(alarm, "ALARM")
        failed = serving.settled(name)
        last = len(traffic.answers) + 8
        wait_until(lambda: len(traffic.answers) > last + 60, "traffic after the failed rollback")
    mixed = set(traffic.releases()[last:])
    weights = [{"VariantName": "AllTraffic", "DesiredWeight": 1}]
    call = serving.sagemaker.update_endpoint_weights_and_capacities
    text = refused("ValidationException", call, EndpointName=name, DesiredWeightsAndCapacities=weights)
    newer = serving.config("newer", instances=1)
    serving.update(name, newer)
    mended = serving.settled(name)

    assert traffic.failures == []
    assert failed["EndpointStatus"] == "UpdateRollbackFailed"
    assert "InsufficientInstanceCapacity" in failed["FailureReason"]
    assert failed["EndpointConfigName"] == old
    assert mixed == {"old", "new"}
    assert "only UpdateEndpoint" in text
    assert (mended["EndpointStatus"], mended["EndpointConfigName"]) == ("InService", newer)
    assert {serving.invoke(name).release for _ in range(10)} == {"newer"}
    assert _stands(serving, name, old) == 0


def test_a_fault_of_one_instance_stays_with_that_instance() -> None:
    faults = Faults()
    faults.switch_on({"kind": "hang", "times": 1})

    def hangs(instance: str) -> bool:
        return any(faults.of_instance("digits", "config", instance, "hang"))

    assert [hangs("a"), hangs("b"), hangs("a")] == [True, False, True]


def _stands(serving: Serving, endpoint: str, config: str) -> int:
    fleets = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)["fleets"]
    return sum(len(fleet["instances"]) for fleet in fleets if fleet["config"] == config)
