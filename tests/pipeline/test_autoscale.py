"""Bounds and policy: what must be put, by what is there; what is there already costs no call."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.autoscale import Scaling, plan_autoscaling, wanted_target
from pipeline.config import Environment
from pipeline.policies import invocations_policy, resource

MakeEnv = Callable[..., Environment]


def in_force(env: Environment, target: float | None) -> Scaling:
    """What AWS describes when the environment's bounds and a policy are in force."""
    policy = {**invocations_policy(env, target), "PolicyARN": "arn", "Alarms": []} if target else None
    return Scaling({**resource(env), "MinCapacity": 2, "MaxCapacity": 4, "RoleARN": "arn"}, policy)


def planned(env: Environment, target: float | None, observed: Scaling) -> list[str]:
    return [call.operation for call in plan_autoscaling(env, target, observed)]


def test_the_target_is_capacity_times_safety_times_sixty(env: Environment) -> None:
    """AWS's advice, in AWS's unit: invocations per instance and minute."""
    assert wanted_target(env, 40.0) == 40.0 * 0.5 * 60


def test_there_is_no_target_before_a_capacity_is_measured(env: Environment) -> None:
    assert wanted_target(env, None) is None


@pytest.mark.parametrize("capacity", [None, 40.0])
def test_a_number_in_the_config_is_the_target_itself(make_env: MakeEnv, capacity: float | None) -> None:
    assert wanted_target(make_env(autoscaling={"target": 900}), capacity) == 900.0


def test_bounds_alone_are_registered_while_no_capacity_is_known(env: Environment) -> None:
    assert planned(env, None, Scaling(None, None)) == ["register_scalable_target"]


def test_bounds_and_policy_are_put_where_nothing_is(env: Environment) -> None:
    expected = ["register_scalable_target", "put_scaling_policy"]

    assert planned(env, 1200.0, Scaling(None, None)) == expected


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
