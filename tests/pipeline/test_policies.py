"""Every way of scaling that the config names, as calls that AWS's own model of the API accepts."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.autoscaling.policies import policies_of, scheduled_actions_of, step_alarms_of
from pipeline.aws.calls import Call
from pipeline.aws.validation import problem_of
from pipeline.config import Environment

MakeEnv = Callable[..., Environment]

UP: dict[str, Any] = {
    "name": "slow",
    "metric": "ModelLatency",
    "statistic": "p90",
    "direction": "above",
    "adjustment": "instances",
    "changes": [{"at": 200_000, "change": 1}, {"at": 400_000, "change": 2}],
}
DOWN: dict[str, Any] = UP | {
    "name": "idle",
    "metric": "Invocations",
    "statistic": "Sum",
    "direction": "below",
    "adjustment": "percent",
    "minimum_change": 1,
    "changes": [{"at": 600, "change": -10}, {"at": 60, "change": -50}],
}
NIGHT = {"name": "night", "schedule": "cron(0 20 * * ? *)", "timezone": "Europe/Berlin", "max_instances": 2}


@pytest.fixture
def everything(make_env: MakeEnv) -> Environment:
    """Return an environment that scales in every way."""
    return make_env(autoscaling={"concurrency_target": 4, "steps": [UP, DOWN], "schedule": [NIGHT]})


def test_every_kind_of_policy_is_a_call_that_aws_accepts(everything: Environment) -> None:
    policies = policies_of(everything, 900.0)
    arns = {policy["PolicyName"]: f"arn:{policy['PolicyName']}" for policy in policies}
    service = "application-autoscaling"
    calls = [Call(service, "put_scaling_policy", each, each["PolicyName"]) for each in policies]
    calls += [Call(service, "put_scheduled_action", each, "x") for each in scheduled_actions_of(everything)]
    calls += [Call("cloudwatch", "put_metric_alarm", each, "x") for each in step_alarms_of(everything, arns)]

    assert len(calls) == 4 + 1 + 2
    assert [problem_of(call) for call in calls] == [None] * len(calls)


def test_without_a_measured_capacity_only_its_own_policy_waits(everything: Environment) -> None:
    names = [policy["PolicyName"] for policy in policies_of(everything, None)]

    assert names == ["digits-staging-concurrency", "digits-staging-slow", "digits-staging-idle"]


def test_concurrency_is_followed_by_the_high_resolution_metric(everything: Environment) -> None:
    tracking = policies_of(everything, None)[0]["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]

    assert (tracking["TargetValue"], metric) == (
        4,
        "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    )


def test_steps_beyond_a_threshold_are_offsets_from_it_without_gap(everything: Environment) -> None:
    """AWS takes the lower bound in and the upper one out above a threshold, the other way round below."""
    up, down = (each["StepScalingPolicyConfiguration"] for each in policies_of(everything, None)[1:])

    assert up["StepAdjustments"] == [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 200_000, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 200_000, "ScalingAdjustment": 2},
    ]
    assert down["StepAdjustments"] == [
        {"MetricIntervalUpperBound": 0, "MetricIntervalLowerBound": -540, "ScalingAdjustment": -10},
        {"MetricIntervalUpperBound": -540, "ScalingAdjustment": -50},
    ]
    assert (down["AdjustmentType"], down["MinAdjustmentMagnitude"]) == ("PercentChangeInCapacity", 1)


def test_the_alarm_behind_steps_starts_its_policy_and_no_rollback(everything: Environment) -> None:
    arns = {"digits-staging-slow": "arn:slow", "digits-staging-idle": "arn:idle"}
    slow, idle = step_alarms_of(everything, arns)

    assert (slow["AlarmActions"], slow["Threshold"]) == (["arn:slow"], 200_000)
    assert (slow["ComparisonOperator"], slow["ExtendedStatistic"]) == ("GreaterThanOrEqualToThreshold", "p90")
    assert (idle["ComparisonOperator"], idle["Statistic"]) == ("LessThanOrEqualToThreshold", "Sum")
    assert not slow["AlarmName"].startswith(f"{everything.endpoint.name}/"), "a deployment removes those"


def test_a_schedule_moves_only_the_bounds_that_it_names(everything: Environment) -> None:
    (night,) = scheduled_actions_of(everything)

    assert night["ScalableTargetAction"] == {"MaxCapacity": 2}
    assert night["Timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"min_instances": 3, "max_instances": 3}, "no policy can act"),
        ({"steps": [UP, UP]}, "is there twice"),
        ({"steps": [UP | {"changes": [{"at": 2, "change": 1}, {"at": 1, "change": 2}]}]}, "must lie above"),
        ({"steps": [DOWN | {"changes": [{"at": 1, "change": 1}, {"at": 2, "change": 2}]}]}, "must lie below"),
        ({"steps": [UP | {"changes": [{"at": 2, "change": 0}]}]}, "changes nothing"),
        ({"steps": [UP | {"adjustment": "exact", "changes": [{"at": 2, "change": 0}]}]}, "at least one"),
        ({"steps": [UP | {"minimum_change": 1}]}, "belongs to adjustment: percent"),
        ({"steps": [UP | {"statistic": "median"}]}, "should match pattern"),
        ({"schedule": [NIGHT | {"max_instances": None}]}, "give min_instances, max_instances or both"),
        ({"schedule": [NIGHT | {"max_instances": 1}]}, "empty range"),
        ({"schedule": [NIGHT | {"schedule": "every night"}]}, "is none of at"),
        ({"schedule": [NIGHT | {"min_instances": 1}]}, "at most half of the fleet"),
    ],
)  # fmt: skip
def test_scaling_that_cannot_act_is_refused(make_env: MakeEnv, changes: dict[str, Any], says: str) -> None:
    changed = {"initial_instances": changes["min_instances"]} if "min_instances" in changes else {}
    with pytest.raises(ValueError, match=says):
        make_env(autoscaling=changes, endpoint=changed)


def test_a_fleet_of_fixed_size_has_no_policy(make_env: MakeEnv) -> None:
    fixed = make_env(autoscaling={"min_instances": 2, "max_instances": 2, "target": None})

    assert policies_of(fixed, None) == ()


def test_bounds_of_a_schedule_count_among_the_sizes_of_the_fleet(make_env: MakeEnv) -> None:
    env = make_env(autoscaling={"schedule": [NIGHT | {"max_instances": 9}]})

    assert (env.autoscaling.smallest_fleet, env.autoscaling.largest_fleet) == (2, 9)
