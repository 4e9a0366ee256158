"""How a DeploymentConfig becomes steps: pure planning, no endpoint involved."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.deployment_policy import plan_deployment
from tests.local_aws.serving import blue_green


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
    plan = plan_deployment(blue_green("CANARY", canary=size), {"A": instances})

    assert plan.steps[0].active == {"A": canary}


@pytest.mark.parametrize(
    ("config", "instances", "sentence"),
    [
        (blue_green("CANARY", canary=("CAPACITY_PERCENT", 51)), 4, "at most 50 %"),
        (blue_green("CANARY", canary=("INSTANCE_COUNT", 3)), 4, "3 of the 4 instance"),
        (blue_green("CANARY", canary=("CAPACITY_PERCENT", 50)), 1, "1 of the 1 instance"),
        (blue_green("CANARY", wait=400, termination=200, maximum=600), 2, "must exceed the sum of the waits"),
        (blue_green("LINEAR"), 2, "LINEAR is not imitated"),
        ({"RollingUpdatePolicy": {}}, 2, "RollingUpdatePolicy is not imitated"),
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
