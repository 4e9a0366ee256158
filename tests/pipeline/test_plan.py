"""The calls of a deployment follow from what AWS has, and AWS's own model accepts each of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipeline.autoscaling.plan import Scaling, plan_autoscaling
from pipeline.aws.calls import Call
from pipeline.aws.validation import problem_of, require_valid
from pipeline.config import Environment
from pipeline.deployment.alarms import alarms_of, plan_alarms
from pipeline.deployment.plan import (
    Observed,
    config_name,
    config_parameters,
    plan_capacity_endpoint,
    plan_deployment,
)
from pipeline.errors import ConfigError, EndpointBusy
from pipeline.names import release_of
from pipeline.publishing.publish import plan_registration
from pipeline.release import Release

MakeEnv = Callable[..., Environment]
MakeRelease = Callable[..., Release]

CREATE = ["create_model", "create_endpoint_config", *["put_metric_alarm"] * 4, "create_endpoint"]


def operations(calls: Iterable[Call]) -> list[str]:
    return [call.operation for call in calls]


def described(env: Environment, config: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the alarms of a config as AWS describes them: with fields of its own."""
    return {alarm["AlarmName"]: {**alarm, "StateValue": "OK"} for alarm in alarms_of(env, config)}


def live_on(release: Release, env: Environment) -> Observed:
    config = config_name(release, env)
    return Observed("InService", config, None, has_model=True, has_config=True, alarms=described(env, config))


def test_a_first_deployment_makes_everything(release: Release, env: Environment) -> None:
    plan = plan_deployment(release, env, Observed())

    assert operations(plan.calls) == CREATE


def test_deploying_what_is_live_plans_no_call(release: Release, env: Environment) -> None:
    plan = plan_deployment(release, env, live_on(release, env))

    assert plan.calls == ()
    assert not plan.is_resumed


def test_an_update_makes_its_alarms_first_and_removes_the_old_ones_last(
    make_test_release: MakeRelease, env: Environment
) -> None:
    """Until the new release is live, the old one's alarms and configs are what a rollback stands on."""
    old, new = make_test_release("a"), make_test_release("b")
    observed = replace(live_on(old, env), has_model=False, has_config=False)
    plan = plan_deployment(new, env, observed)

    assert operations(plan.prepare) == CREATE[:-1]
    assert plan.shift is not None
    assert plan.shift.operation == "update_endpoint"
    assert operations(plan.clean) == ["delete_alarms"]
    assert set(plan.clean[0].params["AlarmNames"]) == set(observed.alarms)


def test_an_update_keeps_a_scaled_out_fleet(make_test_release: MakeRelease, env: Environment) -> None:
    """Without it, UpdateEndpoint would reset the fleet to its first size."""
    plan = plan_deployment(make_test_release("b"), env, live_on(make_test_release("a"), env))

    assert plan.shift is not None
    assert plan.shift.params["RetainAllVariantProperties"] is True


def test_no_plan_deletes_a_model_or_config(make_test_release: MakeRelease, env: Environment) -> None:
    plan = plan_deployment(make_test_release("b"), env, live_on(make_test_release("a"), env))

    assert not {"delete_model", "delete_endpoint_config"} & set(operations(plan.calls))


def test_a_failed_endpoint_is_replaced(release: Release, env: Environment) -> None:
    """DeleteEndpoint is the only operation it takes, and it serves nobody."""
    plan = plan_deployment(release, env, Observed("Failed", config_name(release, env), None, True, True))

    assert operations(plan.calls)[0] == "delete_endpoint"
    assert operations(plan.calls)[-1] == "create_endpoint"


@pytest.mark.parametrize(
    "status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting", "OutOfService"]
)
def test_a_busy_endpoint_is_left_alone(release: Release, env: Environment, status: str) -> None:
    with pytest.raises(EndpointBusy, match=status):
        plan_deployment(release, env, Observed(status, "other", "another"))


@pytest.mark.parametrize("status", ["Creating", "Updating"])
def test_a_deployment_under_way_to_the_same_config_is_waited_for(
    release: Release, env: Environment, status: str
) -> None:
    """A second run after a crash goes on where the first one stopped; it makes no second fleet."""
    config = config_name(release, env)
    observed = Observed(status, "other", config, True, True, described(env, config))
    plan = plan_deployment(release, env, observed)

    assert plan.is_resumed
    assert plan.shift is None


def test_an_update_whose_rollback_failed_is_mended_by_another_update(
    release: Release, env: Environment
) -> None:
    plan = plan_deployment(release, env, Observed("UpdateRollbackFailed", config_name(release, env)))

    assert plan.shift is not None
    assert plan.shift.operation == "update_endpoint"


def test_a_changed_setting_is_a_new_config_of_the_same_release(release: Release, make_env: MakeEnv) -> None:
    small, large = make_env(), make_env(endpoint={"instance_type": "ml.m5.xlarge"})

    assert config_name(release, small) != config_name(release, large)
    assert release_of(config_name(release, small)) == release_of(config_name(release, large)) == release.id


def test_a_changed_strategy_is_no_new_config(release: Release, make_env: MakeEnv) -> None:
    """The traffic strategy is no part of what serves: changing it deploys nothing."""
    assert config_name(release, make_env()) == config_name(release, make_env(deployment={"bake_seconds": 60}))


def test_a_changed_limit_puts_the_alarms_again_and_nothing_else(release: Release, make_env: MakeEnv) -> None:
    observed = live_on(release, make_env())
    plan = plan_deployment(release, make_env(alarms={"p99_latency_ms": 400}), observed)

    assert [stats_of(call.params)["fast"] for call in plan.calls] == ["PR(:400000) ModelLatency"]


def test_a_name_of_another_tool_has_no_release() -> None:
    assert release_of("my-endpoint-config-2026") is None


def stats_of(alarm: Mapping[str, Any]) -> dict[str, str]:
    """Return the statistics and expressions behind the share that an alarm judges."""
    return {
        query["Id"]: query.get("Expression")
        or f"{query['MetricStat']['Stat']} {query['MetricStat']['Metric']['MetricName']}"
        for query in alarm["Metrics"]
        if not query["ReturnData"]
    }


def test_alarms_watch_the_new_fleet_in_cloudwatchs_units(release: Release, env: Environment) -> None:
    """Latency in microseconds, errors by the request, only what runs on this config, silence is no breach."""
    config = config_name(release, env)
    latency, server, model, veto = alarms_of(env, config)
    stats = {alarm["AlarmName"].rpartition("/")[2]: stats_of(alarm) for alarm in (latency, server, model)}

    assert stats == {
        "slow-requests": {
            "fast": "PR(:500000) ModelLatency",
            "requests": "SampleCount ModelLatency",
            "bad": "requests * (1 - fast / 100)",
        },
        "5xx-errors": {"bad": "Sum Invocation5XXErrors", "requests": "SampleCount Invocation5XXErrors"},
        "model-errors": {
            "all": "Sum InvocationModelErrors",
            "callers": "Sum Invocation4XXErrors",
            "requests": "SampleCount InvocationModelErrors",
            "bad": "all - callers",
        },
    }
    for alarm in (latency, server, model):
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Threshold"]) == (3, 2, 0.01)
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    for alarm in (latency, server, model, veto):
        assert alarm["TreatMissingData"] == "notBreaching"
        assert str(alarm).count(f"'Name': 'EndpointConfigName', 'Value': '{config}'") >= 1


def test_a_small_promise_is_written_without_an_exponent(make_env: MakeEnv) -> None:
    share = alarms_of(make_env(alarms={"error_percent": 0.001}), "c")[1]["Metrics"][-1]["Expression"]

    assert "bad > 0.00001 * requests + " in share


def test_dimensions_in_another_order_are_the_same_alarm(release: Release, env: Environment) -> None:
    config = config_name(release, env)
    existing = {
        name: {**alarm, "Dimensions": alarm["Dimensions"][::-1]} if "Dimensions" in alarm else alarm
        for name, alarm in described(env, config).items()
    }

    assert plan_alarms(env, config, existing) == ()


EVERYTHING: dict[str, Any] = {
    "aws": {"tags": {"project": "digits"}},
    "endpoint": {
        "vpc": {"subnets": ["subnet-0a"], "security_groups": ["sg-0b"]},
        "network_isolation": True,
        "kms_key": "alias/disk",
        "data_capture": {"percent": 10, "kms_key": "alias/captured"},
    },
    "alarms": {
        "custom": [
            {
                "name": "cpu",
                "namespace": "/aws/sagemaker/Endpoints",
                "metric": "CPUUtilization",
                "statistic": "Maximum",
                "threshold": 90,
                "period_seconds": 10,
                "scope": "endpoint",
            },
            {"name": "overhead", "metric": "OverheadLatency", "statistic": "p99.9", "threshold": 1e5},
        ],
        "named": ["mine"],
    },
}


def test_every_setting_of_what_serves_reaches_its_call(release: Release, make_env: MakeEnv) -> None:
    env = make_env(**EVERYTHING)
    model, config, *alarms, create = plan_deployment(release, env, Observed()).calls

    assert model.params["VpcConfig"] == {"Subnets": ["subnet-0a"], "SecurityGroupIds": ["sg-0b"]}
    assert model.params["EnableNetworkIsolation"] is True
    assert config.params["KmsKeyId"] == "alias/disk"
    assert config.params["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": "s3://digits-releases-123456789012/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "JsonContentTypes": ["application/json"],
            "CsvContentTypes": ["text/csv"],
        },
        "KmsKeyId": "alias/captured",
    }
    assert [call.params["Tags"] for call in (model, config, create)] == [
        [{"Key": "project", "Value": "digits"}]
    ] * 3
    assert len(alarms) == 6


def test_the_driver_of_a_gpu_type_is_one_of_the_variants_settings(
    release: Release, make_env: MakeEnv
) -> None:
    ami = "al2023-ami-sagemaker-inference-gpu-4-1"
    chosen = make_env(endpoint={"instance_type": "ml.g5.xlarge", "inference_ami": ami})
    default = make_env(endpoint={"instance_type": "ml.g5.xlarge"})

    assert config_parameters(release, chosen)["ProductionVariants"][0]["InferenceAmiVersion"] == ami
    assert "InferenceAmiVersion" not in config_parameters(release, default)["ProductionVariants"][0]


def test_a_custom_alarm_watches_the_new_fleet_unless_its_metric_knows_none(
    release: Release, make_env: MakeEnv
) -> None:
    env = make_env(**EVERYTHING)
    cpu, overhead = alarms_of(env, config_name(release, env))[4:]

    assert [each["Name"] for each in cpu["Dimensions"]] == ["EndpointName", "VariantName"]
    assert [each["Name"] for each in overhead["Dimensions"]][2:] == ["EndpointConfigName"]
    assert (cpu["Statistic"], cpu["Period"]) == ("Maximum", 10)
    assert (overhead["ExtendedStatistic"], overhead["Period"]) == ("p99.9", 60)
    assert (overhead["EvaluateLowSampleCountPercentile"], overhead["DatapointsToAlarm"]) == ("ignore", 2)
    assert "EvaluateLowSampleCountPercentile" not in cpu


def test_tags_decide_no_name(release: Release, make_env: MakeEnv) -> None:
    """Another tag is no other fleet."""
    tagged = make_env(aws={"tags": {"owner": "us"}})

    assert config_name(release, tagged) == config_name(release, make_env(aws={"tags": {}}))


def every_call(release: Release, other: Release, make_env: MakeEnv) -> Iterable[Call]:
    strategies: tuple[dict[str, Any], ...] = (
        {},
        {"strategy": "all_at_once"},
        {"strategy": "linear", "linear_percent": 25},
        {"strategy": "rolling", "batch_percent": 25, "rollback_batch_percent": 100},
    )
    for env in (make_env(deployment=strategy) for strategy in strategies):
        for observed in (Observed(), live_on(other, env), Observed("Failed")):
            yield from plan_deployment(release, env, observed).calls
        yield from plan_capacity_endpoint(release, env)
        yield from plan_autoscaling(env, 1500.0, Scaling(None))
        yield plan_registration(release, env)
    yield from plan_deployment(release, make_env(**EVERYTHING), live_on(other, make_env())).calls


def test_every_planned_call_is_one_that_aws_would_accept(
    make_test_release: MakeRelease, make_env: MakeEnv
) -> None:
    """Parameters are checked against botocore's own model of the API."""
    seen = set()
    for call in every_call(make_test_release("a"), make_test_release("b"), make_env):
        seen.add(call.operation)

        assert problem_of(call) is None, call.says
    assert {"create_endpoint", "update_endpoint", "delete_endpoint", "delete_alarms"} <= seen
    assert {"put_scaling_policy", "register_scalable_target", "create_model_package"} <= seen


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (Call("sagemaker", "create_endpoint", {"EndpointName": "e"}, "x"), "EndpointConfigName"),
        (Call("sagemaker", "create_model", {"ModelName": 1}, "x"), "ModelName"),
        (Call("sagemaker", "make_endpoint", {}, "x"), "no operation make_endpoint"),
        (Call("sagesmaker", "create_model", {}, "x"), "sagesmaker"),
    ],
)
def test_a_call_that_aws_would_refuse_is_found_offline(call: Call, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        require_valid([call])
