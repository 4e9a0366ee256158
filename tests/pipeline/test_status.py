"""Drift is every difference between what AWS has and what the config asks for the live release."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.autoscaling.plan import Scaling
from pipeline.config import Environment
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.difference import Live
from pipeline.deployment.plan import config_parameters, model_parameters
from pipeline.promotion.status import drift_of
from pipeline.release import Release

MakeEnv = Callable[..., Environment]
SCALED = Scaling({"MinCapacity": 2, "MaxCapacity": 4})


def as_deployed(release: Release, env: Environment) -> tuple[Live, list[dict[str, Any]]]:
    """Return AWS's state after a deployment, and its alarms."""
    config = config_parameters(release, env)
    endpoint = {"EndpointConfigName": config["EndpointConfigName"]}
    live = Live(endpoint=endpoint, config=config, model=model_parameters(release, env))
    return live, [{**alarm, "StateValue": "OK"} for alarm in alarms_of(env, config["EndpointConfigName"])]


def test_what_was_just_deployed_has_not_drifted(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)

    assert drift_of(env, release, live, SCALED, alarms) == ()
    assert drift_of(env, release, live, Scaling(None), alarms) == ()


@pytest.mark.parametrize(
    ("changes", "drift"),
    [
        ({"endpoint": {"instance_type": "ml.m5.xlarge"}}, {"instance type": ("ml.m5.large", "ml.m5.xlarge")}),
        ({"endpoint": {"environment": {"LOG": "info"}}}, {"environment LOG": (None, "info")}),
        ({"autoscaling": {"max_instances": 6}}, {"max instances": ("4", "6")}),
        (
            {"alarms": {"p99_latency_ms": 400}},
            {"alarm slow-requests": ("other settings", "as in the config")},
        ),
        ({"deployment": {"bake_seconds": 60}}, {}),
    ],
)
def test_an_edited_config_is_drift_until_it_is_deployed(
    release: Release, make_env: MakeEnv, changes: dict[str, Any], drift: Mapping[str, tuple[str, str]]
) -> None:
    live, alarms = as_deployed(release, make_env())
    found = drift_of(make_env(**changes), release, live, SCALED, alarms)

    assert {each.setting: (each.live, each.coming) for each in found} == drift


def test_bounds_changed_by_hand_are_drift(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)
    (change,) = drift_of(env, release, live, Scaling({"MinCapacity": 1, "MaxCapacity": 4}), alarms)

    assert (change.setting, change.live, change.coming) == ("min instances", "1", "2")


def test_an_alarm_deleted_by_hand_is_drift(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)
    (change,) = drift_of(env, release, live, SCALED, alarms[1:])

    assert (change.setting, change.live) == ("alarm slow-requests", None)


@pytest.mark.parametrize(("target", "count"), [(1200.0, 0), (900.0, 1), ("measured", 0)])
def test_a_target_of_the_config_is_compared_and_a_measured_one_is_not(
    release: Release, make_env: MakeEnv, target: float | str, count: int
) -> None:
    env = make_env(autoscaling={"target": target})
    live, alarms = as_deployed(release, env)
    policy = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1200.0}}
    scaling = Scaling(SCALED.target, {"digits-staging-invocations": policy})

    assert len(drift_of(env, release, live, scaling, alarms)) == count
