"""Faults: each does what it says, to whom it is aimed at, and no longer than it is on."""

import datetime
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.faults import Faults
from local_aws.testing import wait_until
from testbed.serving import SETTINGS, Serving, blue_green, refused, rolling


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


@pytest.mark.starts_processes
def test_a_throttled_call_is_retried_by_boto3_and_the_fault_is_spent(serving: Serving) -> None:
    patient = serving.aws.client("sagemaker")
    with serving.aws.fault("throttle", operation="ListEndpoints", times=2):
        refused("ThrottlingException", serving.sagemaker.list_endpoints)
        serving.sagemaker.list_models()
        assert patient.list_endpoints()["ResponseMetadata"]["RetryAttempts"] == 1
        assert patient.list_endpoints()["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.starts_processes
def test_an_internal_error_comes_before_the_call_is_made(serving: Serving) -> None:
    patient = serving.aws.client("sagemaker")
    with serving.aws.fault("internal-error", operation="CreateModel", times=2):
        refused("InternalFailure", serving.sagemaker.create_model, ModelName="never-made")
        assert "ModelArn" in patient.create_model(
            ModelName="made-at-last", PrimaryContainer={"Image": "contract-server"}
        )

    refused("ValidationException", serving.sagemaker.describe_model, ModelName="never-made")


@pytest.mark.starts_processes
def test_a_lost_answer_is_that_of_a_call_that_was_made(serving: Serving) -> None:
    """So the second try of boto3 finds the model there."""
    model = {"ModelName": "made", "PrimaryContainer": {"Image": "contract-server"}}
    with serving.aws.fault("lost-answer", operation="CreateModel", times=1):
        message = refused("ValidationException", serving.aws.client("sagemaker").create_model, **model)

    assert "Cannot create already existing model" in message


@pytest.mark.starts_processes
def test_expired_credentials_refuse_every_call_in_its_own_protocol(serving: Serving) -> None:
    calls: dict[str, Any] = {
        "sagemaker": "list_endpoints",
        "s3": "list_buckets",
        "sts": "get_caller_identity",
        "cloudwatch": "list_metrics",
    }
    name = serving.endpoint(serving.config("one"))
    with serving.aws.fault("expired-credentials"):
        for service, call in calls.items():
            refused("ExpiredTokenException", getattr(serving.aws.client(service), call))
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            serving.invoke(name)

    assert serving.invoke(name).release == "one"


@pytest.mark.starts_processes
def test_the_command_line_switches_faults_on_and_off(serving: Serving) -> None:
    def fault(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local_aws", "fault", *words]
        return subprocess.run(
            command, env=os.environ | serving.aws.environ, capture_output=True, text=True, timeout=60
        )

    shown = fault("slow", "--endpoint", "digits", "--fleet", "new", "--amount", "5").stdout
    senseless = fault("slow", "--endpoint", "digits")
    (on,) = [fault for fault in serving.aws.status()["faults"] if fault["endpoint"] == "digits"]

    assert (on["kind"], on["fleet"], on["amount"]) == ("slow", "new", 5)
    assert on["id"] in shown
    assert (senseless.returncode, "amount" in senseless.stderr) == (2, True)
    assert on["id"] not in fault("off", on["id"]).stdout
    assert fault("off", "nope").returncode == 2


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "earthquake"},
        {"kind": "slow"},
        {"kind": "hang", "amount": 3},
        {"kind": "hang", "fleet": "blue"},
        {"kind": "hang", "operation": "UpdateEndpoint"},
        {"kind": "throttle", "endpoint": "digits"},
        {"kind": "late-metrics"},
        {"kind": "late-metrics", "amount": 60, "times": 1},
        {"kind": "finding", "vulnerability": "CVE-1"},
        {"kind": "finding", "vulnerability": "CVE-1", "severity": "HIGH", "times": 1},
        {"kind": "slow", "amount": 5, "severity": "HIGH"},
        {"kind": "crash", "times": 0},
        {"kind": "crash", "speed": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Faults().switch_on(wish)


def test_a_fault_of_one_instance_stays_with_that_instance() -> None:
    faults = Faults()
    faults.switch_on({"kind": "hang", "times": 1})

    def hangs(instance: str) -> bool:
        return any(faults.of_instance("digits", "config", instance, "hang"))

    assert [hangs("a"), hangs("b"), hangs("a")] == [True, False, True]


def _stands(serving: Serving, endpoint: str, config: str) -> int:
    fleets = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)["fleets"]
    return sum(len(fleet["instances"]) for fleet in fleets if fleet["config"] == config)
