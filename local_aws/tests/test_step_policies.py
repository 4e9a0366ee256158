"""Step policies: how far each step goes, and alarms of the user's own that start them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.autoscaling.steps import StepSignal, check_steps
from local_aws.cloudwatch.alarm import Trigger
from local_aws.errors import AwsError
from local_aws.seams import VariantState
from testbed.scaling_world import IDENTITY, METRIC, World, policy


def step(by: int, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {"ScalingAdjustment": by} | {name: value for name, value in bounds.items() if value is not None}


def steps(*adjustments: dict[str, Any], kind: str = "ChangeInCapacity", **more: Any) -> dict[str, Any]:
    return {"AdjustmentType": kind, "StepAdjustments": list(adjustments), **more}


OUT = steps(step(1, 0, 100), step(3, 100), Cooldown=0)
IN = steps(step(-1, None, 0), Cooldown=0)


def signal(configuration: dict[str, Any], distance: float) -> StepSignal:
    return StepSignal("step", "busy", distance, configuration)


class Stepped(World):
    """A world with a registered target, whose alarms watch the metric that the minutes are full of."""

    def step_policy(self, name: str, configuration: dict[str, Any]) -> str:
        request = IDENTITY | {"PolicyName": name, "PolicyType": "StepScaling"}
        answer = self.call("PutScalingPolicy", **request, StepScalingPolicyConfiguration=configuration)
        assert answer["Alarms"] == []
        return str(answer["PolicyARN"])

    def alarm(self, name: str, arn: str, threshold: float = 600.0, **more: Any) -> None:
        namespace, metric, dimensions = METRIC
        self.alarms.put(
            {
                "AlarmName": name,
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": threshold,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": [arn],
            }
            | more
        )


@pytest.fixture
def world() -> Stepped:
    made = Stepped()
    made.register(1, 8)
    return made


@pytest.mark.parametrize(
    ("distance", "wanted"),
    [(-15, 7), (-10, 7), (-9.9, 9), (0, 10), (9.9, 10), (10, 12), (19.9, 12), (20, 15), (99, 15)],
)
def test_above_the_threshold_a_lower_bound_is_its_steps_own_and_below_it_an_upper_one(
    distance: float, wanted: int
) -> None:
    configuration = steps(step(-3, None, -10), step(-1, -10, 0), step(0, 0, 10), step(2, 10, 20), step(5, 20))

    assert signal(configuration, distance).wants(10) == wanted


def test_a_metric_on_the_threshold_takes_the_step_that_ends_there_if_none_begins() -> None:
    assert signal(steps(step(-1, None, 0)), 0.0).wants(4) == 3


def test_a_metric_without_a_step_changes_nothing() -> None:
    assert signal(steps(step(2, 0)), -5.0).wants(4) == 4


@pytest.mark.parametrize(
    ("kind", "by", "minimum", "current", "wanted"),
    [
        ("ChangeInCapacity", 2, None, 4, 6),
        ("ChangeInCapacity", -9, None, 4, 0),
        ("ExactCapacity", 3, None, 7, 3),
        ("PercentChangeInCapacity", 25, None, 4, 5),
        ("PercentChangeInCapacity", 25, 2, 4, 6),
        ("PercentChangeInCapacity", 10, None, 4, 5),
        ("PercentChangeInCapacity", 34, None, 4, 5),
        ("PercentChangeInCapacity", -10, None, 4, 3),
        ("PercentChangeInCapacity", -40, None, 4, 3),
        ("PercentChangeInCapacity", -25, 2, 4, 2),
        ("PercentChangeInCapacity", 50, None, 0, 0),
    ],
)
def test_adjustments(kind: str, by: int, minimum: int | None, current: int, wanted: int) -> None:
    more = {} if minimum is None else {"MinAdjustmentMagnitude": minimum}

    assert signal(steps(step(by, 0), kind=kind, **more), 1.0).wants(current) == wanted


@pytest.mark.parametrize(("kind", "wanted"), [("Average", 4), ("Minimum", 3), ("Maximum", 6), (None, 4)])
def test_the_datapoints_that_decided_are_aggregated_as_the_policy_says(kind: str | None, wanted: int) -> None:
    more = {} if kind is None else {"MetricAggregationType": kind}
    configuration = steps(step(1, 0, 20), step(2, 20, 60), step(4, 60), **more)
    trigger = Trigger("busy", 1, (110.0, 115.0, 170.0), 100.0)

    assert StepSignal.of("step", trigger, configuration).wants(2) == wanted


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
def test_steps_that_cannot_be_are_refused(world: Stepped, configuration: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        world.step_policy("step", configuration)

    assert caught.value.code == "ValidationException"
    assert world.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []


@given(edges=st.lists(st.integers(-50, 50), unique=True), distance=st.floats(-100, 100))
def test_steps_that_are_accepted_leave_no_distance_without_exactly_one_step(
    edges: list[int], distance: float
) -> None:
    bounds = [None, *sorted(edges), None]
    made = [step(n, lower, upper) for n, (lower, upper) in enumerate(pairwise(bounds))]
    check_steps(steps(*made))

    fitting = [
        n
        for n, (lower, upper) in enumerate(pairwise(bounds))
        if (lower is None or lower <= distance) and (upper is None or distance <= upper)
    ]
    assert signal(steps(*made), distance).wants(100) - 100 in fitting


def test_an_alarm_that_names_the_policy_scales_by_its_step(world: Stepped) -> None:
    arn = world.step_policy("more", OUT)
    world.alarm("busy", arn)

    world.minutes(1, 650)
    world.minutes(1, 701)

    (second, first) = world.activities()
    assert world.fleets.asked == [3, 6]
    assert first["Cause"] == second["Cause"] == "monitor alarm busy in state ALARM triggered policy more"


def test_a_policy_is_started_again_for_as_long_as_the_alarm_lasts_but_only_once_a_period(
    world: Stepped,
) -> None:
    world.alarm("busy", world.step_policy("more", OUT))

    world.minutes(2, 650)
    for _ in range(5):
        world.service.tick()

    assert world.fleets.asked == [3, 4]


@pytest.mark.parametrize("more", [{"ActionsEnabled": False}, {"AlarmActions": []}])
def test_an_alarm_without_that_action_starts_nothing(world: Stepped, more: dict[str, Any]) -> None:
    world.alarm("busy", world.step_policy("more", OUT), **more)

    world.minutes(2, 900)

    assert (world.alarms.state("busy"), world.fleets.asked) == ("ALARM", [])


def test_an_ok_action_can_scale_in(world: Stepped) -> None:
    arn = world.step_policy("less", IN)
    world.alarm("busy", "arn:aws:sns:eu-west-1:123456789012:pager", OKActions=[arn])

    world.minutes(1, 100)

    assert world.fleets.asked == [1]


def test_a_scale_in_stops_at_the_minimum_with_the_reason(world: Stepped) -> None:
    world.alarm("calm", world.step_policy("less", IN), ComparisonOperator="LessThanThreshold")

    world.minutes(3, 100)

    reasons = [a.get("NotScaledReasons") for a in world.activities(IncludeNotScaledActivities=True)]
    assert world.fleets.asked == [1]
    assert reasons == [[{"Code": "AlreadyAtMinCapacity", "MinCapacity": 1}], None]


def test_a_policy_that_has_what_it_wants_says_so(world: Stepped) -> None:
    world.alarm("busy", world.step_policy("two", steps(step(2, 0), kind="ExactCapacity", Cooldown=0)))

    world.minutes(3, 900)

    (activity,) = world.activities(IncludeNotScaledActivities=True)
    assert world.fleets.asked == []
    assert activity["NotScaledReasons"] == [{"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": 2}]


def test_a_cooldown_counts_what_it_has_added_and_lets_a_larger_step_add_the_difference(
    world: Stepped,
) -> None:
    """Two instances and one more are three; within the cooldown a step of three makes five of the two, not six."""
    world.alarm("busy", world.step_policy("more", OUT | {"Cooldown": 600}))
    world.minutes(3, 650)
    patient = list(world.fleets.asked)

    world.minutes(1, 900)

    assert (patient, world.fleets.asked) == ([3], [3, 5])


def test_a_cooldown_of_300_seconds_is_the_default(world: Stepped) -> None:
    configuration = {name: value for name, value in IN.items() if name != "Cooldown"}
    world.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 5, 5)
    world.alarm("calm", world.step_policy("less", configuration), ComparisonOperator="LessThanThreshold")

    world.minutes(5, 100)
    waiting = list(world.fleets.asked)
    world.minutes(2, 100)

    assert (waiting, world.fleets.asked) == ([4], [4, 3])


def test_out_wins_over_in_and_the_larger_capacity_over_the_smaller(world: Stepped) -> None:
    """Target tracking asks for ceil(2 × 840 / 600) = 3, one step policy for 5, another for one less."""
    world.track(ScaleOutCooldown=0)
    world.alarm("busy", world.step_policy("more", OUT))
    world.alarm("odd", world.step_policy("less", steps(step(-1, 0), Cooldown=0)))
    world.minutes(2, 500)
    world.fleets.asked.clear()
    world.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 2, 2)

    world.minutes(1, 840)

    assert world.fleets.asked == [5]


def test_tracking_does_not_hold_back_a_step_policy_that_scales_in(world: Stepped) -> None:
    world.track()
    world.alarm("calm", world.step_policy("less", IN), ComparisonOperator="LessThanThreshold")

    world.minutes(1, 570)

    assert world.fleets.asked == [1]


@pytest.mark.parametrize(
    ("suspended", "load", "comparison"),
    [
        ("DynamicScalingOutSuspended", 900, "GreaterThanThreshold"),
        ("DynamicScalingInSuspended", 100, "LessThanThreshold"),
    ],
)
def test_a_suspended_target_does_not_step(
    world: Stepped, suspended: str, load: float, comparison: str
) -> None:
    world.register(SuspendedState={suspended: True})
    arn = world.step_policy("step", steps(step(-1, None, 0), step(1, 0), Cooldown=0))
    world.alarm("any", arn, ComparisonOperator=comparison)
    world.minutes(2, load)
    resting = list(world.fleets.asked)
    world.register(SuspendedState={suspended: False})

    world.minutes(1, load)

    assert (resting, len(world.fleets.asked)) == ([], 1)


def test_step_policies_are_described_with_their_configuration_and_keep_their_arn(world: Stepped) -> None:
    arn = world.step_policy("more", OUT)
    again = world.step_policy("more", IN)

    (described,) = world.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert arn == again == described["PolicyARN"]
    assert described["PolicyType"] == "StepScaling"
    assert described["StepScalingPolicyConfiguration"] == IN


def test_target_tracking_follows_metric_math_of_the_users_own(world: Stepped) -> None:
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
    world.call("PutScalingPolicy", **request)
    for _ in range(3):
        world.store.put("Digits", "left", {}, 500)
        world.store.put("Digits", "right", {}, 400)
        world.pass_minutes(1)

    assert world.fleets.asked == [3]


def test_metric_math_that_is_not_imitated_is_refused_in_autoscalings_own_form(world: Stepped) -> None:
    request = policy(
        "queues", CustomizedMetricSpecification={"Metrics": [{"Id": "e", "Expression": "TIME_SERIES(1)"}]}
    )
    del request["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]

    with pytest.raises(AwsError, match="expression needs metrics") as caught:
        world.call("PutScalingPolicy", **request)

    assert (caught.value.code, world.alarms._own.alarms) == ("ValidationException", {})
