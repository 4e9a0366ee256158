"""Deployment plans: the steps of a DeploymentConfig (pure)."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.deployment_policy import plan_deployment
from testbed.deployment_configs import blue_green, rolling


def test_without_a_config_all_traffic_moves_at_once_and_nothing_bakes() -> None:
    plan = plan_deployment(None, {"A": 2})

    (step,) = plan.steps
    assert (step.active, step.shares, step.bake_seconds, step.full) == ({"A": 2}, {"A": 1.0}, 0, True)
    assert plan.alarms == ()


def test_a_canary_takes_its_share_and_bakes_before_the_rest_follows() -> None:
    plan = plan_deployment(blue_green("CANARY", wait=120, termination=60, alarms=("p99",)), {"A": 4})

    canary, rest = plan.steps
    assert (canary.active, canary.shares, canary.bake_seconds, canary.full) == (
        {"A": 2},
        {"A": 0.5},
        120,
        False,
    )
    assert (rest.active, rest.bake_seconds, rest.full) == ({"A": 4}, 60, True)
    assert plan.alarms == ("p99",)


@pytest.mark.parametrize(
    ("size", "instances", "canary"),
    [
        (("CAPACITY_PERCENT", 33), 3, 1),
        (("CAPACITY_PERCENT", 50), 5, 2),
        (("CAPACITY_PERCENT", 1), 10, 1),
        (("INSTANCE_COUNT", 2), 4, 2),
    ],
)
def test_a_canary_is_whole_instances(size: tuple[str, int], instances: int, canary: int) -> None:
    plan = plan_deployment(blue_green("CANARY", size=size), {"A": instances})

    assert plan.steps[0].active == {"A": canary}


def test_a_linear_deployment_moves_equal_steps_and_puts_down_an_equal_part_of_the_old_fleet() -> None:
    config = blue_green("LINEAR", wait=60, termination=30, size=("CAPACITY_PERCENT", 33))
    plan = plan_deployment(config, {"A": 3}, {"A": 6})

    assert [(s.active["A"], s.kept["A"], round(s.shares["A"], 2), s.bake_seconds) for s in plan.steps] == [
        (1, 4, 0.33, 60),
        (2, 2, 0.67, 60),
        (3, 0, 1.0, 30),
    ]
    assert [step.full for step in plan.steps] == [False, False, True]
    assert not plan.rolling


def test_the_last_linear_step_is_what_is_left() -> None:
    plan = plan_deployment(blue_green("LINEAR", size=("INSTANCE_COUNT", 2)), {"A": 5})

    assert [step.active["A"] for step in plan.steps] == [2, 4, 5]


def test_variants_of_different_sizes_step_together_until_the_slowest_is_over() -> None:
    plan = plan_deployment(blue_green("LINEAR", size=("CAPACITY_PERCENT", 40)), {"A": 2, "B": 5})

    assert [dict(step.active) for step in plan.steps] == [
        {"A": 1, "B": 2},
        {"A": 2, "B": 4},
        {"A": 2, "B": 5},
    ]


def test_a_rolling_deployment_replaces_batch_by_batch_and_bakes_after_each() -> None:
    plan = plan_deployment(rolling(batch=("CAPACITY_PERCENT", 50), wait=60), {"A": 4})

    assert [(s.active["A"], s.kept["A"], s.bake_seconds) for s in plan.steps] == [(2, 2, 60), (4, 0, 60)]
    assert plan.rolling


@pytest.mark.parametrize(
    ("rollback", "way"),
    [
        (None, [(0, 4, 0.0)]),
        (("CAPACITY_PERCENT", 100), [(0, 4, 0.0)]),
        (("INSTANCE_COUNT", 1), [(2, 2, 0.5), (1, 3, 0.25), (0, 4, 0.0)]),
    ],
)
def test_a_rolling_deployment_goes_back_in_its_own_batches(
    rollback: tuple[str, int] | None, way: list[tuple[int, int, float]]
) -> None:
    plan = plan_deployment(rolling(rollback=rollback), {"A": 4})

    assert [(s.active["A"], s.kept["A"], s.shares["A"]) for s in plan.rollback_steps({"A": 1})] == way


def test_blue_green_goes_back_at_once() -> None:
    plan = plan_deployment(blue_green("LINEAR"), {"A": 4})

    (back,) = plan.rollback_steps({"A": 4})
    assert (back.active, back.kept, back.shares) == ({"A": 0}, {"A": 4}, {"A": 0.0})


def test_an_endpoint_of_several_variants_is_not_rolled() -> None:
    with pytest.raises(AwsError, match="several variants"):
        plan_deployment(rolling(), {"A": 2, "B": 2})


@pytest.mark.parametrize(
    ("config", "instances", "sentence"),
    [
        (blue_green("CANARY", size=("CAPACITY_PERCENT", 51)), 4, "at most 50 %"),
        (blue_green("CANARY", size=("INSTANCE_COUNT", 3)), 4, "3 of the 4 instance"),
        (blue_green("CANARY", size=("CAPACITY_PERCENT", 50)), 1, "1 of the 1 instance"),
        (blue_green("CANARY", wait=400, termination=200, maximum=600), 2, "must exceed the sum of the waits"),
        (blue_green("LINEAR", size=("CAPACITY_PERCENT", 9)), 20, "at least 10 %"),
        (blue_green("LINEAR", size=("INSTANCE_COUNT", 1)), 11, "1 of the 11 instance"),
        (blue_green("LINEAR", size=("INSTANCE_COUNT", 2)), 3, "at most 50 %"),
        (blue_green("LINEAR", wait=300, maximum=600, size=("CAPACITY_PERCENT", 25)), 4, "sum of the waits"),
        (rolling(batch=("CAPACITY_PERCENT", 4)), 30, "at least 5 %"),
        (rolling(batch=("INSTANCE_COUNT", 2)), 3, "at most 50 %"),
        (rolling(rollback=("INSTANCE_COUNT", 3)), 2, "RollbackMaximumBatchSize is 3 of the 2"),
        (rolling() | blue_green(), 2, "only one of BlueGreenUpdatePolicy and RollingUpdatePolicy"),
        (blue_green(alarms=("a", "a")), 2, "AlarmName of its own"),
    ],
)
def test_what_aws_refuses_is_refused(config: dict[str, Any], instances: int, sentence: str) -> None:
    with pytest.raises(AwsError, match=sentence):
        plan_deployment(config, {"A": instances})


def test_a_canary_without_a_size_is_refused() -> None:
    config = blue_green("CANARY")
    del config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["CanarySize"]

    with pytest.raises(AwsError, match="needs CanarySize"):
        plan_deployment(config, {"A": 2})
