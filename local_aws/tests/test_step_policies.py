"""Step policies scale a variant when an alarm names them."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from testbed.scaling_simulation import policy
from testbed.scaling_steps import IN, OUT, Stepped, step, steps


@pytest.fixture
def simulation() -> Stepped:
    made = Stepped()
    made.register(1, 8)
    return made


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({}, "needs AdjustmentType"),
        (steps(), "needs AdjustmentType"),
        (steps(step(1, 0, 10), step(2, 20)), "gap"),
        (steps(step(1, 0, 10), step(2, 5)), "overlap"),
        (steps(step(1, 10, 0)), "below MetricIntervalUpperBound"),
        (steps(step(1, 0, 10)), "no bound"),
        (steps(step(-1, -10, 0)), "no bound"),
        (steps(step(1, 0), MinAdjustmentMagnitude=2), "PercentChangeInCapacity only"),
        (steps(step(1, 0), Cooldown=-1), "Cooldown"),
        (steps(step(-1, 0), kind="ExactCapacity"), "ExactCapacity"),
    ],
)
def test_steps_that_cannot_be_are_refused(
    simulation: Stepped, configuration: dict[str, Any], words: str
) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        simulation.step_policy("step", configuration)

    assert caught.value.code == "ValidationException"
    assert simulation.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []


def test_an_alarm_that_names_the_policy_scales_by_its_step(simulation: Stepped) -> None:
    arn = simulation.step_policy("more", OUT)
    simulation.alarm("busy", arn)

    simulation.minutes(1, 650)
    simulation.minutes(1, 701)

    (second, first) = simulation.activities()
    assert simulation.fleets.asked == [3, 6]
    assert first["Cause"] == second["Cause"] == "monitor alarm busy in state ALARM triggered policy more"


def test_a_policy_is_started_again_for_as_long_as_the_alarm_lasts_but_only_once_a_period(
    simulation: Stepped,
) -> None:
    simulation.alarm("busy", simulation.step_policy("more", OUT))

    simulation.minutes(2, 650)
    for _ in range(5):
        simulation.service.tick()

    assert simulation.fleets.asked == [3, 4]


@pytest.mark.parametrize("more", [{"ActionsEnabled": False}, {"AlarmActions": []}])
def test_an_alarm_without_that_action_starts_nothing(simulation: Stepped, more: dict[str, Any]) -> None:
    simulation.alarm("busy", simulation.step_policy("more", OUT), **more)

    simulation.minutes(2, 900)

    assert (simulation.alarms.state("busy"), simulation.fleets.asked) == ("ALARM", [])


def test_an_ok_action_can_scale_in(simulation: Stepped) -> None:
    arn = simulation.step_policy("less", IN)
    simulation.alarm("busy", "arn:aws:sns:eu-west-1:123456789012:pager", OKActions=[arn])

    simulation.minutes(1, 100)

    assert simulation.fleets.asked == [1]


def test_a_scale_in_stops_at_the_minimum_with_the_reason(simulation: Stepped) -> None:
    simulation.alarm("calm", simulation.step_policy("less", IN), ComparisonOperator="LessThanThreshold")

    simulation.minutes(3, 100)

    reasons = [a.get("NotScaledReasons") for a in simulation.activities(IncludeNotScaledActivities=True)]
    assert simulation.fleets.asked == [1]
    assert reasons == [[{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1}], None]


def test_a_policy_that_has_what_it_wants_says_so(simulation: Stepped) -> None:
    simulation.alarm(
        "busy", simulation.step_policy("two", steps(step(2, 0), kind="ExactCapacity", Cooldown=0))
    )

    simulation.minutes(3, 900)

    (activity,) = simulation.activities(IncludeNotScaledActivities=True)
    assert simulation.fleets.asked == []
    assert activity["NotScaledReasons"] == [{"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": 2}]


def test_a_cooldown_counts_what_it_has_added_and_lets_a_larger_step_add_the_difference(
    simulation: Stepped,
) -> None:
    """Two instances and one more are three; within the cooldown a step of three makes five of the two, not six."""
    simulation.alarm("busy", simulation.step_policy("more", OUT | {"Cooldown": 600}))
    simulation.minutes(3, 650)
    patient = list(simulation.fleets.asked)

    simulation.minutes(1, 900)

    assert (patient, simulation.fleets.asked) == ([3], [3, 5])


def test_a_cooldown_of_300_seconds_is_the_default(simulation: Stepped) -> None:
    configuration = {name: value for name, value in IN.items() if name != "Cooldown"}
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 5, 5)
    simulation.alarm(
        "calm", simulation.step_policy("less", configuration), ComparisonOperator="LessThanThreshold"
    )

    simulation.minutes(5, 100)
    waiting = list(simulation.fleets.asked)
    simulation.minutes(2, 100)

    assert (waiting, simulation.fleets.asked) == ([4], [4, 3])


def test_out_wins_over_in_and_the_larger_capacity_over_the_smaller(simulation: Stepped) -> None:
    """Target tracking asks for ceil(2 × 840 / 600) = 3, one step policy for 5, another for one less."""
    simulation.track(ScaleOutCooldown=0)
    simulation.alarm("busy", simulation.step_policy("more", OUT))
    simulation.alarm("odd", simulation.step_policy("less", steps(step(-1, 0), Cooldown=0)))
    simulation.minutes(2, 500)
    simulation.fleets.asked.clear()
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 2, 2)

    simulation.minutes(1, 840)

    assert simulation.fleets.asked == [5]


def test_tracking_does_not_hold_back_a_step_policy_that_scales_in(simulation: Stepped) -> None:
    simulation.track()
    simulation.alarm("calm", simulation.step_policy("less", IN), ComparisonOperator="LessThanThreshold")

    simulation.minutes(1, 570)

    assert simulation.fleets.asked == [1]


@pytest.mark.parametrize(
    ("suspended", "load", "comparison"),
    [
        ("DynamicScalingOutSuspended", 900, "GreaterThanThreshold"),
        ("DynamicScalingInSuspended", 100, "LessThanThreshold"),
    ],
)
def test_a_suspended_target_does_not_step(
    simulation: Stepped, suspended: str, load: float, comparison: str
) -> None:
    simulation.register(SuspendedState={suspended: True})
    arn = simulation.step_policy("step", steps(step(-1, None, 0), step(1, 0), Cooldown=0))
    simulation.alarm("any", arn, ComparisonOperator=comparison)
    simulation.minutes(2, load)
    resting = list(simulation.fleets.asked)
    simulation.register(SuspendedState={suspended: False})

    simulation.minutes(1, load)

    assert (resting, len(simulation.fleets.asked)) == ([], 1)


def test_step_policies_are_described_with_their_configuration_and_keep_their_arn(simulation: Stepped) -> None:
    arn = simulation.step_policy("more", OUT)
    again = simulation.step_policy("more", IN)

    (described,) = simulation.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert arn == again == described["PolicyARN"]
    assert described["PolicyType"] == "StepScaling"
    assert described["StepScalingPolicyConfiguration"] == IN


def test_target_tracking_follows_metric_math_of_the_users_own(simulation: Stepped) -> None:
    """Two queues together are held at the target; AWS's own period is put into each metric."""
    queries = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {"Metric": {"Namespace": "Digits", "MetricName": name}, "Stat": "Sum"},
        }
        for name in ("left", "right")
    ]
    request = policy(
        "queues",
        CustomizedMetricSpecification={"Metrics": [*queries, {"Id": "e", "Expression": "left + right"}]},
    )
    del request["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    simulation.call("PutScalingPolicy", **request)
    for _ in range(3):
        simulation.store.put("Digits", "left", {}, 500)
        simulation.store.put("Digits", "right", {}, 400)
        simulation.pass_minutes(1)

    assert simulation.fleets.asked == [3]


def test_metric_math_that_is_not_imitated_is_refused_in_autoscalings_own_form(simulation: Stepped) -> None:
    request = policy(
        "queues", CustomizedMetricSpecification={"Metrics": [{"Id": "e", "Expression": "TIME_SERIES(1)"}]}
    )
    del request["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]

    with pytest.raises(AwsError, match="expression needs metrics") as caught:
        simulation.call("PutScalingPolicy", **request)

    assert (caught.value.code, simulation.alarm_rules()) == ("ValidationException", {})
