"""Bounds and policy: what must be put, by what is there; what is there already costs no call."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.autoscaling.plan import Scaling, plan_autoscaling
from pipeline.autoscaling.policies import policies_of, resource, scheduled_actions_of, step_alarms_of
from pipeline.autoscaling.policy_checks import ineffective_policies
from pipeline.autoscaling.targets import (
    MeasuredCapacity,
    missing_measurement,
    wanted_target,
    with_measured_concurrency,
)
from pipeline.config import Environment
from tests.pipeline.test_policies import NIGHT, UP

MakeEnv = Callable[..., Environment]


def in_force(env: Environment, target: float | None) -> Scaling:
    """Return the scaling that AWS describes when all of the environment's is in force."""
    policies = {
        each["PolicyName"]: {**each, "PolicyARN": f"arn:{each['PolicyName']}", "Alarms": []}
        for each in policies_of(env, target)
    }
    arns = {name: policy["PolicyARN"] for name, policy in policies.items()}
    return Scaling(
        {**resource(env), "MinCapacity": 2, "MaxCapacity": 4, "RoleARN": "arn"},
        policies,
        {each["ScheduledActionName"]: each for each in scheduled_actions_of(env)},
        {each["AlarmName"]: each for each in step_alarms_of(env, arns)},
    )


def planned(env: Environment, target: float | None, observed: Scaling) -> list[str]:
    return [call.operation for call in plan_autoscaling(env, target, observed)]


def test_the_target_is_capacity_times_safety_times_sixty(env: Environment) -> None:
    """AWS's advice, in AWS's unit: invocations per instance and minute."""
    assert wanted_target(env, MeasuredCapacity(40.0)) == 40.0 * 0.5 * 60


def test_there_is_no_target_before_a_capacity_is_measured(env: Environment) -> None:
    assert wanted_target(env, None) is None


@pytest.mark.parametrize("measured", [None, MeasuredCapacity(40.0)])
def test_a_number_in_the_config_is_the_target_itself(
    make_env: MakeEnv, measured: MeasuredCapacity | None
) -> None:
    assert wanted_target(make_env(autoscaling={"target": 900}), measured) == 900.0


def test_a_measured_concurrency_target_is_what_was_seen_at_capacity_times_safety(make_env: MakeEnv) -> None:
    env = make_env(autoscaling={"target": None, "concurrency_target": "measured"})
    known = with_measured_concurrency(env, MeasuredCapacity(40.0, 3.5))

    assert known.autoscaling.concurrency_target == 3.5
    assert planned(env, None, Scaling(None)) == ["register_scalable_target"]
    assert planned(known, None, Scaling(None)) == ["register_scalable_target", "put_scaling_policy"]
    assert planned(env, None, in_force(known, None)) == [], "an older target is better than none"


def test_a_concurrency_target_in_the_config_is_not_replaced_by_what_was_measured(make_env: MakeEnv) -> None:
    env = make_env(autoscaling={"concurrency_target": 4})

    assert with_measured_concurrency(env, MeasuredCapacity(40.0, 3.5)) == env


@pytest.mark.parametrize(
    ("changes", "measured", "says"),
    [
        ({}, None, "no capacity"),
        ({}, MeasuredCapacity(40.0), None),
        ({"target": 900}, None, None),
        ({"target": 900, "concurrency_target": "measured"}, None, "no capacity"),
        ({"concurrency_target": "measured"}, MeasuredCapacity(40.0), "no ConcurrentRequestsPerModel"),
        ({"concurrency_target": "measured"}, MeasuredCapacity(40.0, 3.5), None),
    ],
)
def test_what_a_policy_waits_for_is_said(
    make_env: MakeEnv, changes: dict[str, Any], measured: MeasuredCapacity | None, says: str | None
) -> None:
    told = missing_measurement(make_env(autoscaling=changes), measured)

    assert (told is None) is (says is None)
    assert says is None or says in str(told)


def test_bounds_alone_are_registered_while_no_capacity_is_known(env: Environment) -> None:
    assert planned(env, None, Scaling(None)) == ["register_scalable_target"]


def test_bounds_and_policy_are_put_where_nothing_is(env: Environment) -> None:
    expected = ["register_scalable_target", "put_scaling_policy"]

    assert planned(env, 1200.0, Scaling(None)) == expected


def test_what_is_in_force_is_not_put_again(env: Environment) -> None:
    assert planned(env, 1200.0, in_force(env, 1200.0)) == []


def test_a_policy_stays_while_no_capacity_of_the_new_release_is_known(env: Environment) -> None:
    """An older target is better than none."""
    assert planned(env, None, in_force(env, 1200.0)) == []


@pytest.mark.parametrize(
    ("changes", "target", "expected"),
    [
        ({"max_instances": 6}, 1200.0, ["register_scalable_target"]),
        ({"scale_in_cooldown_seconds": 300}, 1200.0, ["put_scaling_policy"]),
        ({}, 1300.0, ["put_scaling_policy"]),
    ],
)
def test_only_what_differs_is_put(
    make_env: MakeEnv, changes: dict[str, Any], target: float, expected: list[str]
) -> None:
    observed = in_force(make_env(), 1200.0)

    assert planned(make_env(autoscaling=changes), target, observed) == expected


def every_way(make_env: MakeEnv) -> Environment:
    return make_env(autoscaling={"concurrency_target": 4, "steps": [UP], "schedule": [NIGHT]})


def test_every_way_of_scaling_is_put(make_env: MakeEnv) -> None:
    """The alarm of the step policy comes with the next plan: AWS has to give the policy its ARN first."""
    env = every_way(make_env)
    put = ["register_scalable_target", *["put_scaling_policy"] * 3, "put_scheduled_action"]
    with_arns = Scaling(None, in_force(env, 1200.0).policies)

    assert planned(env, 1200.0, Scaling(None)) == put
    assert planned(env, 1200.0, with_arns)[-1] == "put_metric_alarm"
    assert planned(env, 1200.0, in_force(env, 1200.0)) == []


def test_what_the_config_no_longer_names_goes_and_what_others_put_stays(
    env: Environment, make_env: MakeEnv
) -> None:
    before = in_force(every_way(make_env), 1200.0)
    theirs = {"by-hand": {"PolicyName": "by-hand", "PolicyType": "StepScaling"}}
    gone = ["delete_scaling_policy"] * 2 + ["delete_scheduled_action", "delete_alarms"]

    assert planned(env, 1200.0, replace(before, policies={**before.policies, **theirs})) == gone


def test_bounds_that_the_clock_has_set_are_left_to_it(make_env: MakeEnv) -> None:
    env = every_way(make_env)
    at_night = replace(in_force(env, 1200.0), target={"MinCapacity": 2, "MaxCapacity": 2})

    assert planned(env, 1200.0, at_night) == []


def test_a_target_of_another_kind_takes_the_place_of_the_measured_one(make_env: MakeEnv) -> None:
    measured = in_force(make_env(), 1200.0)
    env = make_env(autoscaling={"target": None, "concurrency_target": 4})

    assert planned(env, None, measured) == ["put_scaling_policy", "delete_scaling_policy"]


@pytest.mark.parametrize(
    ("changes", "target", "says"),
    [
        ({}, 1200.0, None),
        ({}, None, None),
        ({}, 9.0, "a target of 9 invocations per instance and minute is below noise"),
        ({"concurrency_target": "measured"}, None, None),
        ({"concurrency_target": 0.5}, None, "a concurrency_target of 0.5 is below noise"),
        ({"steps": [UP]}, None, None),
        ({"steps": [UP | {"metric": "ModelLatenzy"}]}, None, "nobody publishes a metric AWS/SageMaker Mo"),
        ({"steps": [UP | {"namespace": "ours", "metric": "known"}]}, None, None),
        (
            {"steps": [UP | {"namespace": "ours", "metric": "lost"}]},
            None,
            "nobody publishes a metric ours lost",
        ),
    ],
)
def test_a_policy_that_could_never_act_is_named(
    make_env: MakeEnv, changes: dict[str, Any], target: float | None, says: str | None
) -> None:
    env = make_env(autoscaling=changes)
    told = [*ineffective_policies(env, target, lambda _, metric: metric == "known")]

    assert len(told) == (says is not None)
    assert says is None or says in told[0]
