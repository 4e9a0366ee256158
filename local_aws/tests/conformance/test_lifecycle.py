"""Models, endpoint configs and endpoints, from their creation to their deletion, in AWS's words."""

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from testbed.serving import Serving, refused

pytestmark = pytest.mark.starts_processes

DELAY = {"Delay": 1, "MaxAttempts": 3600}


@pytest.mark.sky(instances=2, minutes=20)
def test_an_endpoint_is_created_and_then_answers(serving: Serving) -> None:
    name = serving.begin(serving.config("one", instances=2))
    creating = serving.describe(name)
    description = serving.settled(name)

    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    pending = creating["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert pending["VariantStatus"][0]["StatusMessage"] == "Launching 2 instance(s)."
    assert description["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in description
    variant = description["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 2)
    assert serving.invoke(name).release == "one"


def test_the_waiters_of_boto3_see_creation_and_deletion(serving: Serving) -> None:
    name = serving.begin(serving.config())
    serving.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=DELAY)
    serving.sagemaker.delete_endpoint(EndpointName=name)
    serving.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=DELAY)

    text = refused("ValidationException", serving.sagemaker.describe_endpoint, EndpointName=name)
    assert text == f'Could not find endpoint "{serving.account.arn("endpoint", name)}".'


@pytest.mark.sky(instances=1, minutes=40)
def test_a_container_that_is_never_healthy_fails_the_creation_with_its_reason(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    description = serving.settled(name)

    assert description["EndpointStatus"] == "Failed"
    assert description["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    with pytest.raises(WaiterError):
        serving.sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"MaxAttempts": 1}
        )


@pytest.mark.sky(instances=1, minutes=40)
def test_a_failed_endpoint_can_only_be_deleted(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    serving.settled(name)
    other = serving.config()

    refused(
        "ValidationException", serving.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=other
    )
    serving.sagemaker.delete_endpoint(EndpointName=name)
    assert serving.wait_until(lambda: _is_gone(serving, name), "the failed endpoint is deleted")


@pytest.mark.sky(instances=1, minutes=40)
def test_what_a_failed_container_said_is_in_cloudwatch_logs(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    serving.settled(name)

    logs = serving.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"
    events = serving.wait_until(
        lambda: logs.filter_log_events(logGroupName=group)["events"], "the log is there"
    )
    assert "this container exits at once" in [event["message"].strip() for event in events]
    assert all(re.fullmatch(r"AllTraffic/i-[0-9a-f]{17}", event["logStreamName"]) for event in events)


def test_nothing_can_be_started_on_an_endpoint_that_is_in_progress(serving: Serving) -> None:
    other = serving.config()
    name = serving.begin(serving.config())
    text = f'Cannot update in-progress endpoint "{serving.account.arn("endpoint", name)}".'
    weights = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("update_endpoint", {"EndpointConfigName": other}),
        ("update_endpoint_weights_and_capacities", {"DesiredWeightsAndCapacities": weights}),
        ("delete_endpoint", {}),
    ]

    for operation, request in requests:
        call = getattr(serving.sagemaker, operation)
        assert refused("ValidationException", call, EndpointName=name, **request) == text


@pytest.mark.sky(instances=2, minutes=20)
def test_a_share_of_the_traffic_follows_the_weights(serving: Serving) -> None:
    variants = [
        serving.variant(serving.model(name), name=name, InitialVariantWeight=weight)
        for name, weight in (("a", 3), ("b", 1))
    ]
    name = serving.endpoint(serving.config_of(*variants))
    answers = [serving.invoke(name) for _ in range(200)]

    assert 120 < sum(answer.variant == "a" for answer in answers) < 180
    assert all(answer.variant == answer.release for answer in answers)


@pytest.mark.sky(instances=3, minutes=30)
def test_weights_and_counts_change_while_the_endpoint_serves(serving: Serving) -> None:
    config = serving.config_of(
        serving.variant(serving.model("a"), name="A"), serving.variant(serving.model("b"), name="B")
    )
    name = serving.endpoint(config)
    wanted = [
        {"VariantName": "A", "DesiredWeight": 0},
        {"VariantName": "B", "DesiredInstanceCount": 2},
    ]
    serving.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=wanted
    )
    status = serving.describe(name)["EndpointStatus"]
    a, b = serving.settled(name)["ProductionVariants"]

    assert status == "Updating"
    assert (a["CurrentWeight"], a["CurrentInstanceCount"]) == (0, 1)
    assert (b["CurrentWeight"], b["CurrentInstanceCount"]) == (1, 2)
    assert {serving.invoke(name).release for _ in range(10)} == {"b"}
    assert serving.invoke(name, TargetVariant="A").release == "a"


def test_a_variant_that_is_unknown_or_named_twice_is_refused(serving: Serving) -> None:
    config = serving.config()
    name = serving.endpoint(config)
    call = serving.sagemaker.update_endpoint_weights_and_capacities
    one = {"VariantName": "AllTraffic", "DesiredWeight": 1}

    text = refused("ValidationException", call, EndpointName=name, DesiredWeightsAndCapacities=[one, one])
    assert text == 'The variant name "AllTraffic" was non-unique within the request.'
    other = [{"VariantName": "Other", "DesiredWeight": 1}]
    text = refused("ValidationException", call, EndpointName=name, DesiredWeightsAndCapacities=other)
    assert text == (
        f'The variant name(s) "Other" is/are not present within endpoint configuration "{config}".'
    )


@pytest.mark.sky(instances=2, minutes=60)
def test_an_instance_that_stops_answering_its_pings_is_replaced(serving: Serving) -> None:
    """The container hangs on request; whoever answers afterwards is another."""
    name = serving.endpoint(serving.config("one"))
    first = serving.invoke(name).instance
    serving.invoke(name, b"hang")

    def another() -> bool:
        try:
            return serving.invoke(name).instance != first
        except ClientError:
            return False

    serving.wait_until(another, "another instance answers")


@pytest.mark.sky(instances=3, minutes=30)
def test_scaling_in_loses_no_request(serving: Serving) -> None:
    name = serving.endpoint(serving.config(instances=3, SLOW="0.05"))
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    with serving.traffic(name) as traffic:
        serving.wait_until(lambda: len(traffic.answers) > 20, "traffic flows")
        serving.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=wanted
        )
        description = serving.settled(name)
        seen = len(traffic.answers)
        serving.wait_until(lambda: len(traffic.answers) > seen + 20, "traffic still flows")

    assert traffic.failures == []
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert len({answer.instance for answer in traffic.answers}) == 3


def _is_gone(serving: Serving, endpoint: str) -> bool:
    return not serving.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
