"""Scheduled actions move the limits of a target at their times."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from testbed.scaling_simulation import IDENTITY, ScalingSimulation


@pytest.fixture
def simulation() -> ScalingSimulation:
    made = ScalingSimulation()
    made.register(1, 8)
    return made


def schedule(
    simulation: ScalingSimulation, name: str = "night", expression: str = "rate(5 minutes)", **more: Any
) -> None:
    request = {"ScheduledActionName": name, "Schedule": expression, **IDENTITY, **more}
    simulation.call("PutScheduledAction", **request)


def described(simulation: ScalingSimulation) -> list[dict[str, Any]]:
    answer = simulation.call("DescribeScheduledActions", ServiceNamespace="sagemaker")
    found: list[dict[str, Any]] = answer["ScheduledActions"]
    return found


def limits(simulation: ScalingSimulation) -> tuple[int, int]:
    (target,) = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    return target["MinCapacity"], target["MaxCapacity"]


def test_an_action_moves_the_limits_and_the_capacity_after_them(simulation: ScalingSimulation) -> None:
    schedule(simulation, ScalableTargetAction={"MinCapacity": 4, "MaxCapacity": 6})
    simulation.pass_minutes(4)
    before = (limits(simulation), list(simulation.fleets.asked))

    simulation.pass_minutes(1)

    raised, moved = simulation.activities()
    assert before == ((1, 8), [])
    assert (limits(simulation), simulation.fleets.asked) == ((4, 6), [4])
    assert (moved["Description"], moved["StatusCode"], moved["StatusMessage"]) == (
        "Setting min capacity to 4 and max capacity to 6",
        "Successful",
        "Successfully set min capacity to 4 and max capacity to 6",
    )
    assert moved["Cause"] == "scheduled action name night was triggered"
    assert raised["Cause"] == "minimum capacity was set to 4"


def test_one_limit_alone_leaves_the_other(simulation: ScalingSimulation) -> None:
    schedule(simulation, ScalableTargetAction={"MaxCapacity": 1})

    simulation.pass_minutes(5)

    assert (limits(simulation), simulation.fleets.asked) == ((1, 1), [1])


def test_limits_that_cross_fail_the_activity_and_change_nothing(simulation: ScalingSimulation) -> None:
    schedule(simulation, ScalableTargetAction={"MinCapacity": 9})

    simulation.pass_minutes(5)

    (activity,) = simulation.activities()
    assert (limits(simulation), simulation.fleets.asked, activity["StatusCode"]) == ((1, 8), [], "Failed")
    assert "Maximum capacity cannot be less than minimum" in activity["StatusMessage"]


def test_a_rate_repeats_and_a_date_comes_once(simulation: ScalingSimulation) -> None:
    schedule(simulation, "often", "rate(5 minutes)", ScalableTargetAction={"MinCapacity": 2})
    moment = datetime.fromtimestamp(simulation.clock.at + 7, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    schedule(simulation, "once", f"at({moment})", ScalableTargetAction={"MinCapacity": 1})

    for _ in range(12):
        simulation.pass_minutes(1)

    causes = [activity["Cause"].split()[3] for activity in reversed(simulation.activities())]
    assert causes == ["often", "once", "often"]


def test_an_action_rests_outside_its_start_and_end(simulation: ScalingSimulation) -> None:
    start, end = simulation.clock.at + 7.0, simulation.clock.at + 13.0
    schedule(simulation, StartTime=start, EndTime=end, ScalableTargetAction={"MinCapacity": 2})
    heard = []
    for _ in range(20):
        simulation.pass_minutes(1)
        heard.append(len(simulation.activities()))

    assert heard[5:8] == [0, 1, 1]
    assert heard[11:] == [2] * 9


def test_scheduled_actions_ignore_cooldowns_and_rest_while_suspended(simulation: ScalingSimulation) -> None:
    simulation.register(SuspendedState={"ScheduledScalingSuspended": True})
    simulation.track(ScaleOutCooldown=3600)
    schedule(simulation, ScalableTargetAction={"MinCapacity": 6})
    simulation.minutes(5, 840)
    resting = list(simulation.fleets.asked)
    simulation.register(SuspendedState={"ScheduledScalingSuspended": False})

    simulation.minutes(5, 500)

    assert (resting, simulation.fleets.asked) == ([3], [3, 6])


def test_an_updating_endpoint_keeps_its_capacity_and_gets_the_limits(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)
    schedule(simulation, ScalableTargetAction={"MinCapacity": 4})

    simulation.pass_minutes(5)

    assert (limits(simulation), simulation.fleets.asked) == ((4, 8), [])


def test_putting_an_action_again_changes_only_what_is_said(simulation: ScalingSimulation) -> None:
    schedule(simulation, Timezone="Europe/Dublin", ScalableTargetAction={"MinCapacity": 4})
    (first,) = described(simulation)

    simulation.call("PutScheduledAction", ScheduledActionName="night", **IDENTITY, Schedule="rate(1 minute)")

    (again,) = described(simulation)
    assert again == first | {"Schedule": "rate(1 minute)"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ScalableTargetAction": {}}, "needs Schedule and ScalableTargetAction"),
        ({"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2}}, "less than minimum"),
        ({"ScalableTargetAction": {"MinCapacity": 0}}, "at least 1"),
        ({"Schedule": "sometimes"}, "none of at"),
        ({"Timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"StartTime": 2e9, "EndTime": 1.9e9}, "after StartTime"),
        ({"EndTime": 1e9}, "in the future"),
    ],
)
def test_an_action_that_cannot_be_is_refused(
    simulation: ScalingSimulation, wrong: dict[str, Any], words: str
) -> None:
    good = {"Schedule": "rate(5 minutes)", "ScalableTargetAction": {"MinCapacity": 2}}
    with pytest.raises(AwsError, match=words) as caught:
        simulation.call("PutScheduledAction", ScheduledActionName="night", **IDENTITY, **good | wrong)

    assert (caught.value.code, described(simulation)) == ("ValidationException", [])


def test_deleted_actions_and_those_of_a_deregistered_target_are_gone(simulation: ScalingSimulation) -> None:
    schedule(simulation, ScalableTargetAction={"MinCapacity": 4})
    schedule(simulation, "day", ScalableTargetAction={"MinCapacity": 5})
    simulation.call("DeleteScheduledAction", ScheduledActionName="day", **IDENTITY)
    left = [action["ScheduledActionName"] for action in described(simulation)]
    simulation.call("DeregisterScalableTarget", **IDENTITY)
    simulation.register()

    simulation.pass_minutes(10)

    assert (left, described(simulation), simulation.fleets.asked) == (["night"], [], [])
    with pytest.raises(AwsError, match="No scheduled action found for service namespace: sagemaker"):
        simulation.call("DeleteScheduledAction", ScheduledActionName="day", **IDENTITY)


def test_actions_are_found_by_name_and_by_resource(simulation: ScalingSimulation) -> None:
    for name in ("night", "day"):
        schedule(simulation, name, ScalableTargetAction={"MinCapacity": 4})

    def names(**more: Any) -> list[str]:
        answer = simulation.call("DescribeScheduledActions", ServiceNamespace="sagemaker", **more)
        return [action["ScheduledActionName"] for action in answer["ScheduledActions"]]

    assert names(ScheduledActionNames=["day"]) == ["day"]
    assert names(ResourceId="endpoint/other/variant/AllTraffic") == []
    assert names(ResourceId=IDENTITY["ResourceId"]) == ["night", "day"]


def test_a_schedule_needs_a_registered_target() -> None:
    simulation = ScalingSimulation()

    with pytest.raises(AwsError, match="No scalable target registered") as caught:
        schedule(simulation, ScalableTargetAction={"MinCapacity": 4})

    assert caught.value.code == "ObjectNotFoundException"
