"""Scalable targets: registration, limits, lists."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from testbed.scaling_simulation import IDENTITY, ScalingSimulation


@pytest.fixture
def simulation() -> ScalingSimulation:
    return ScalingSimulation()


def test_a_target_needs_an_endpoint_that_exists(simulation: ScalingSimulation) -> None:
    with pytest.raises(AwsError, match="doesn't exist: endpoint/other/variant/AllTraffic") as caught:
        simulation.call(
            "RegisterScalableTarget",
            **IDENTITY | {"ResourceId": "endpoint/other/variant/AllTraffic"},
            MinCapacity=1,
            MaxCapacity=2,
        )

    assert caught.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"MinCapacity": 3, "MaxCapacity": 2}, "ValidationException", "less than minimum"),
        ({"MinCapacity": 0, "MaxCapacity": 2}, "ValidationException", "at least 1"),
        ({"MinCapacity": 1}, "ValidationException", "MaxCapacity"),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ResourceId": "endpoint/x"},
            "ValidationException",
            "endpoint/x",
        ),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ServiceNamespace": "ecs"},
            "NotImplementedByLocalAws",
            "ecs",
        ),
        (
            {
                "MinCapacity": 1,
                "MaxCapacity": 2,
                "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
            },
            "NotImplementedByLocalAws",
            "DesiredCopyCount",
        ),
    ],
)
def test_a_wrong_target_is_refused_and_not_kept(
    simulation: ScalingSimulation, request_: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        simulation.call("RegisterScalableTarget", **IDENTITY | request_)

    targets = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (caught.value.code, targets) == (code, [])


def test_burstable_instances_are_not_scalable(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.t2.medium", 2, 2)

    with pytest.raises(AwsError, match=r"ml\.t2\.medium does not support autoscaling"):
        simulation.register()


def test_registering_again_changes_only_what_is_said(simulation: ScalingSimulation) -> None:
    arn = simulation.register(
        1, 8, SuspendedState={"DynamicScalingInSuspended": True}, Tags={"team": "digits"}
    )

    again = simulation.call("RegisterScalableTarget", **IDENTITY, MaxCapacity=4)["ScalableTargetARN"]

    (target,) = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert again == arn
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert simulation.call("ListTagsForResource", ResourceARN=arn)["Tags"] == {"team": "digits"}


@pytest.mark.parametrize(
    ("minimum", "maximum", "wanted", "cause"),
    [(3, 8, 3, "minimum capacity was set to 3"), (1, 1, 1, "maximum capacity was set to 1")],
)
def test_registration_pulls_the_capacity_inside_the_limits(
    simulation: ScalingSimulation, minimum: int, maximum: int, wanted: int, cause: str
) -> None:
    simulation.register(minimum, maximum)
    (running,) = simulation.activities()
    simulation.fleets.settle()
    simulation.service.tick()
    (done,) = simulation.activities()

    assert simulation.fleets.asked == [wanted]
    assert (running["StatusCode"], running["Cause"]) == ("InProgress", cause)
    assert running["Description"] == f"Setting desired instance count to {wanted}."
    assert (done["StatusCode"], done["StatusMessage"]) == (
        "Successful",
        f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker.",
    )


def test_registration_leaves_an_updating_endpoint_alone(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)

    simulation.register(3, 8)

    assert simulation.fleets.asked == []


def test_a_deleted_endpoint_is_deregistered(simulation: ScalingSimulation) -> None:
    simulation.register()
    names = [alarm["AlarmName"] for alarm in simulation.track()["Alarms"]]
    there = simulation.service.is_registered("digits", "AllTraffic")
    del simulation.fleets.variants["digits", "AllTraffic"]

    simulation.service.tick()

    assert (there, simulation.service.is_registered("digits", "AllTraffic")) == (True, False)
    assert [simulation.alarms.state(name) for name in names] == [None, None]


def test_long_lists_come_in_pages(simulation: ScalingSimulation) -> None:
    for number in range(3):
        simulation.fleets.variants[f"e{number}", "A"] = VariantState("InService", "ml.m5.large", 1, 1)
        identity = IDENTITY | {"ResourceId": f"endpoint/e{number}/variant/A"}
        simulation.call("RegisterScalableTarget", **identity, MinCapacity=1, MaxCapacity=2)
    describe: Callable[..., dict[str, Any]] = lambda **more: simulation.call(  # noqa: E731
        "DescribeScalableTargets", ServiceNamespace="sagemaker", MaxResults=2, **more
    )

    first = describe()
    second = describe(NextToken=first["NextToken"])

    found = [target["ResourceId"] for page in (first, second) for target in page["ScalableTargets"]]
    assert found == [f"endpoint/e{number}/variant/A" for number in range(3)]
    assert "NextToken" not in second
    with pytest.raises(AwsError, match="not valid"):
        describe(NextToken="x")


def test_timestamps_are_wall_clock(simulation: ScalingSimulation) -> None:
    simulation.register()

    (target,) = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]

    assert datetime.fromtimestamp(target["CreationTime"], UTC).year == 2027
