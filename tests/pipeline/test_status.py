"""Drift is every difference between what AWS has and what the config asks for the live release."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.autoscaling.plan import Scaling
from pipeline.autoscaling.policies import (
    invocations_policy,
    policies_of,
    scheduled_actions_of,
    step_alarms_of,
)
from pipeline.config import Environment
from pipeline.config.validation_errors import _sections
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.difference import Live
from pipeline.deployment.live_alarms import live_alarms_of
from pipeline.deployment.plan import config_parameters, model_parameters
from pipeline.promotion.drift import History, Seen, drift_of
from pipeline.promotion.status import environment_status
from pipeline.release import Release
from pipeline.run import Run

MakeEnv = Callable[..., Environment]
SCALED_TARGET = {"MinCapacity": 2, "MaxCapacity": 4}
SCALED = Scaling(SCALED_TARGET)


def as_deployed(release: Release, env: Environment) -> tuple[Live, list[dict[str, Any]]]:
    """Return AWS's state after a deployment, and its alarms."""
    config = config_parameters(release, env)
    endpoint = {"EndpointConfigName": config["EndpointConfigName"]}
    live = Live(endpoint=endpoint, config=config, model=model_parameters(release, env))
    return live, [{**alarm, "StateValue": "OK"} for alarm in alarms_of(env, config["EndpointConfigName"])]


def test_what_was_just_deployed_has_not_drifted(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)

    assert drift_of(env, release, Seen(live, SCALED, alarms)) == ()
    assert drift_of(env, release, Seen(live, Scaling(None), alarms)) == ()


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
    found = drift_of(make_env(**changes), release, Seen(live, SCALED, alarms))

    assert {each.setting: (each.live, each.coming) for each in found} == drift


def test_bounds_changed_by_hand_are_drift(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)
    (change,) = drift_of(env, release, Seen(live, Scaling({"MinCapacity": 1, "MaxCapacity": 4}), alarms))

    assert (change.setting, change.live, change.coming) == ("min instances", "1", "2")


def test_an_alarm_deleted_by_hand_is_drift(release: Release, env: Environment) -> None:
    live, alarms = as_deployed(release, env)
    (change,) = drift_of(env, release, Seen(live, SCALED, alarms[1:]))

    assert (change.setting, change.live) == ("alarm slow-requests", None)


@pytest.mark.parametrize(("target", "count"), [(1200.0, 0), (900.0, 1), ("measured", 0)])
def test_a_target_of_the_config_is_compared_and_a_measured_one_is_not(
    release: Release, make_env: MakeEnv, target: float | str, count: int
) -> None:
    env = make_env(autoscaling={"target": target})
    live, alarms = as_deployed(release, env)
    policy = invocations_policy(env, 1200.0)
    scaling = Scaling(SCALED.target, {policy["PolicyName"]: policy})

    assert len(drift_of(env, release, Seen(live, scaling, alarms))) == count


STEP = {
    "name": "slow", "metric": "ModelLatency", "statistic": "p90", "direction": "above", "adjustment": "instances",
    "changes": [{"at": 60_000_000, "change": 1}],
}  # fmt: skip
PERCENT = {
    "name": "cold", "metric": "Invocations", "statistic": "Sum", "direction": "below", "adjustment": "percent",
    "changes": [{"at": 10, "change": -10}], "minimum_change": 1,
}  # fmt: skip
NIGHT = {"name": "night", "schedule": "cron(0 20 * * ? *)", "min_instances": 2, "max_instances": 3}
CUSTOM = {"name": "cpu", "metric": "ModelLatency", "statistic": "p90", "threshold": 1e5, "period_seconds": 60,
          "evaluation_periods": 3, "datapoints_to_alarm": 2, "dimensions": {"Kind": "a"}}  # fmt: skip
EVERYTHING: dict[str, Any] = {
    "aws": {"tags": {"project": "digits"}},
    "endpoint": {
        "instance_type": "ml.p3.2xlarge",  # with a driver to choose
        "initial_instances": 3,
        "environment": {"LOG": "info"},
        "vpc": {"subnets": ["subnet-0a"], "security_groups": ["sg-0a"]},
        "kms_key": "alias/storage",
        "data_capture": {"percent": 10, "kms_key": "alias/capture"},
    },
    "alarms": {"p99_latency_ms": 400, "error_percent": 0.5, "custom": [CUSTOM], "notify": "alerts"},
    "autoscaling": {
        "target": 1200.0, "concurrency_target": 4.0, "steps": [STEP, PERCENT], "schedule": [NIGHT],
    },
}  # fmt: skip
OTHER_VALUES: dict[
    str, Any
] = {  # of each setting that AWS has; every one is valid beside EVERYTHING's others
    "aws.account_id": "210987654321",
    "aws.region": "us-east-1",  # of the topic that is notified
    "aws.execution_role": "another",
    "aws.bucket": "another-bucket",  # of captured requests
    "aws.model_package_group": "another",  # of the topic that is notified
    "aws.tags": {"project": "another"},
    "endpoint.name": "another",
    "endpoint.variant": "Another",
    "endpoint.instance_type": "ml.m5.xlarge",
    "endpoint.inference_ami": "al2-ami-sagemaker-inference-gpu-2",
    "endpoint.routing": "RANDOM",
    "endpoint.startup_timeout_seconds": 301,
    "endpoint.environment": {"LOG": "debug"},
    "endpoint.vpc.subnets": ["subnet-0b"],
    "endpoint.vpc.security_groups": ["sg-0b"],
    "endpoint.network_isolation": True,
    "endpoint.kms_key": "alias/another",
    "endpoint.data_capture.percent": 11,
    "endpoint.data_capture.prefix": "captured/another",
    "endpoint.data_capture.content": ["input"],
    "endpoint.data_capture.kms_key": "alias/another",
    "alarms.p99_latency_ms": 300,
    "alarms.error_percent": 0.25,
    "alarms.false_alarm_percent": 1.0,
    "alarms.period_seconds": 120,
    "alarms.evaluation_periods": 4,
    "alarms.datapoints_to_alarm": 3,
    "alarms.custom.0.name": "another",
    "alarms.custom.0.metric": "OverheadLatency",
    "alarms.custom.0.namespace": "Mine",
    "alarms.custom.0.statistic": "p95",
    "alarms.custom.0.threshold": 2e5,
    "alarms.custom.0.comparison": "below",
    "alarms.custom.0.period_seconds": 120,
    "alarms.custom.0.evaluation_periods": 4,
    "alarms.custom.0.datapoints_to_alarm": 3,
    "alarms.custom.0.low_samples": "evaluate",
    "alarms.custom.0.missing_data": "breaching",
    "alarms.custom.0.scope": "endpoint",
    "alarms.custom.0.dimensions": {"Kind": "b"},
    "alarms.notify": "arn:aws:sns:eu-west-1:123456789012:another",
    "autoscaling.min_instances": 3,
    "autoscaling.max_instances": 5,
    "autoscaling.target": 900.0,
    "autoscaling.scale_out_cooldown_seconds": 61,
    "autoscaling.scale_in_cooldown_seconds": 121,
    "autoscaling.concurrency_target": 5.0,
    "autoscaling.steps.0.name": "another",
    "autoscaling.steps.0.metric": "OverheadLatency",
    "autoscaling.steps.0.namespace": "Mine",
    "autoscaling.steps.0.statistic": "p95",
    "autoscaling.steps.0.direction": "below",
    "autoscaling.steps.0.adjustment": "exact",
    "autoscaling.steps.0.changes.0.at": 1,
    "autoscaling.steps.0.changes.0.change": 2,
    "autoscaling.steps.1.minimum_change": 2,
    "autoscaling.steps.0.period_seconds": 120,
    "autoscaling.steps.0.evaluation_periods": 2,
    "autoscaling.steps.0.missing_data": "breaching",
    "autoscaling.steps.0.cooldown_seconds": 301,
    "autoscaling.schedule.0.name": "another",
    "autoscaling.schedule.0.schedule": "cron(0 21 * * ? *)",
    "autoscaling.schedule.0.timezone": "Europe/Berlin",
    "autoscaling.schedule.0.min_instances": 3,
    "autoscaling.schedule.0.max_instances": 4,
}
NOT_ON_THE_FLEET = {  # why nobody can change it by hand on the live fleet
    "name": "the file's name",
    "promotes_from": "of the pipeline",
    "aws.repository": "the image of a release is named with it when it is published",
    "weights": "of the next release",
    "golden": "of the next release",
    "packages": "of the next release",
    "endpoint.initial_instances": "of a new endpoint; scaling changes the live one",
    "deployment": "of the next deployment",
    "alarms.named": "alarms of somebody else, on the next deployment",
    "autoscaling.safety_factor": "of the next measurement",
    "limits": "of the next verification; alarms take theirs from it where they have none",
    "load": "of the next verification",
    "training": "of the next training job",
    "verification": "of the next verification",
    "promotion": "of the next promotion",
    "after_promotion": "of the next promotion",
}


def settings(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield every setting that a config can hold, with 0 for a place in a list."""
    for name, each in model.model_fields.items():
        section = next(_sections(each.annotation), None)
        is_list = section is not None and "tuple" in str(each.annotation)
        key = f"{above}{name}{'.0' if is_list else ''}"
        if section is None or key in NOT_ON_THE_FLEET:
            yield key
        else:
            yield from settings(section, f"{key}.")


def with_value(keys: str, value: Any, make_env: MakeEnv) -> Environment:
    document = make_env(**EVERYTHING).document()
    *above, last = keys.split(".")
    section: Any = document
    for key in above:
        section = section[int(key) if key.isdigit() else key]
    section[last] = value
    return Environment.model_validate(document)


def all_in_force(release: Release, env: Environment) -> Seen:
    """Return AWS's state after everything in the config was put."""
    live, rollback = as_deployed(release, env)
    target, bounds = env.autoscaling.target, env.autoscaling
    policies = {
        policy["PolicyName"]: policy
        for policy in policies_of(env, target if isinstance(target, float) else None)
    }
    described = {name: {**policy, "PolicyARN": f"arn:{name}"} for name, policy in policies.items()}
    scaling = Scaling(
        {"MinCapacity": bounds.min_instances, "MaxCapacity": bounds.max_instances},
        described,
        {action["ScheduledActionName"]: action for action in scheduled_actions_of(env)},
        {
            alarm["AlarmName"]: alarm
            for alarm in step_alarms_of(env, {name: f"arn:{name}" for name in policies})
        },
    )
    tags = {what: dict(env.aws.tags) for what in ("endpoint", "endpoint config", "model")}
    return Seen(live, scaling, [*rollback, *live_alarms_of(env)], tags)


def test_every_setting_of_the_config_is_compared_or_has_a_reason_why_not() -> None:
    """A new setting needs another value in OTHER_VALUES, or a reason in NOT_ON_THE_FLEET."""
    known = {key.replace(".1.", ".0.") for key in OTHER_VALUES} | NOT_ON_THE_FLEET.keys()

    assert {*settings(Environment)} == known


def test_nothing_has_drifted_while_everything_is_in_force(release: Release, make_env: MakeEnv) -> None:
    env = make_env(**EVERYTHING)

    assert (
        drift_of(env, release, all_in_force(release, env), History(was_scaled=True, is_measured=True)) == ()
    )


@pytest.mark.parametrize("keys", OTHER_VALUES)
def test_a_setting_that_was_changed_by_hand_is_seen(release: Release, make_env: MakeEnv, keys: str) -> None:
    """AWS has another value of one setting than the config."""
    env, by_hand = make_env(**EVERYTHING), with_value(keys, OTHER_VALUES[keys], make_env)
    found = drift_of(env, release, all_in_force(release, by_hand), History(was_scaled=True))

    assert found


@pytest.mark.parametrize(
    ("target", "setting"),
    [
        ({"MinCapacity": 3, "MaxCapacity": 4}, "min instances"),
        ({"MinCapacity": 2, "MaxCapacity": 5}, "max instances"),
        ({**SCALED_TARGET, "SuspendedState": {"DynamicScalingInSuspended": True}}, "scaling suspended"),
        (None, "scalable target"),
    ],
)
def test_a_scalable_target_that_was_changed_by_hand_is_seen(
    release: Release, make_env: MakeEnv, target: dict[str, Any] | None, setting: str
) -> None:
    env = make_env()
    live, alarms = as_deployed(release, env)
    (change,) = drift_of(env, release, Seen(live, Scaling(target), alarms), History(was_scaled=True))

    assert change.setting == setting


def test_bounds_that_the_clock_or_the_promotion_has_set_are_no_drift(
    release: Release, make_env: MakeEnv
) -> None:
    night = make_env(autoscaling={"schedule": [{**NIGHT, "max_instances": 2}]})
    after = make_env(after_promotion={"action": "scale_down", "instances": 2})
    for env in (night, after):
        seen = all_in_force(release, env)
        scaling = replace(seen.scaling, target={"MinCapacity": 2, "MaxCapacity": 2})

        assert drift_of(env, release, replace(seen, scaling=scaling)) == ()


def test_a_policy_that_was_deleted_or_put_by_hand_is_seen_by_its_name(
    release: Release, make_env: MakeEnv
) -> None:
    env = make_env(autoscaling={"target": 1200.0, "steps": [STEP]})
    seen = all_in_force(release, env)
    foreign = {"PolicyName": "theirs", "PolicyType": "TargetTrackingScaling"}
    kept = {name: each for name, each in seen.scaling.policies.items() if not name.endswith("-invocations")}
    scaling = replace(seen.scaling, policies={**kept, "theirs": foreign})
    found = drift_of(env, release, replace(seen, scaling=scaling))

    assert {(each.setting, each.live, each.coming) for each in found} == {
        ("scaling policy digits-staging-invocations", None, "as in the config"),
        ("scaling policy theirs", "not in the config", None),
    }


@pytest.mark.parametrize(("is_measured", "count"), [(True, 1), (False, 0)])
def test_a_measured_policy_is_missed_once_the_capacity_is_known(
    release: Release, make_env: MakeEnv, is_measured: bool, count: int
) -> None:
    env = make_env()
    live, alarms = as_deployed(release, env)
    history = History(was_scaled=True, is_measured=is_measured)

    assert len(drift_of(env, release, Seen(live, SCALED, alarms), history)) == count


def test_a_scheduled_action_and_a_scaling_alarm_that_were_deleted_are_seen(
    release: Release, make_env: MakeEnv
) -> None:
    env = make_env(**EVERYTHING)
    seen = all_in_force(release, env)
    scaling = replace(seen.scaling, actions={}, alarms={})
    found = drift_of(env, release, replace(seen, scaling=scaling))

    assert {each.setting for each in found} == {
        "scheduled action digits-staging-night",
        "scaling alarm slow",
        "scaling alarm cold",
    }


def test_an_endpoint_config_or_model_that_was_deleted_is_seen_by_its_name(
    release: Release, env: Environment
) -> None:
    live, alarms = as_deployed(release, env)
    config, model = live.config["EndpointConfigName"], live.model["ModelName"]
    (of_config,) = drift_of(env, release, Seen(replace(live, config={}, model={}), SCALED, alarms))
    (of_model,) = drift_of(env, release, Seen(replace(live, model={}), SCALED, alarms))

    assert (of_config.setting, of_config.live) == (f"endpoint config {config}", None)
    assert (of_model.setting, of_model.live) == (f"model {model}", None)


def test_tags_that_were_changed_removed_or_added_are_seen_where_they_are(
    release: Release, env: Environment
) -> None:
    seen = all_in_force(release, env)
    tags = {"endpoint": {"project": "other"}, "endpoint config": {}, "model": {**env.aws.tags, "mine": "1"}}
    found = drift_of(env, release, replace(seen, tags=tags))

    assert {(each.setting, each.live, each.coming) for each in found} == {
        ("tag project of the endpoint", "other", "digits"),
        ("tag project of the endpoint config", None, "digits"),
        ("tag mine of the model", "1", None),
    }


def test_an_endpoint_on_a_config_of_somebody_else_is_seen(account: Run) -> None:
    name, role = account.env.endpoint.name, account.env.aws.execution_role_arn
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    read = account.aws.read
    read("sagemaker", "create_model", ModelName="m", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=role)
    read("sagemaker", "create_endpoint_config", EndpointConfigName="theirs", ProductionVariants=[variant])
    read("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName="theirs")
    (change,) = environment_status(account).drift or ()

    assert (change.setting, change.live) == ("endpoint config", "theirs")
