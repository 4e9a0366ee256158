"""The resources of one environment, without what differs between two equal runs: names, times, states."""

import re
from typing import Any

import local_aws
from pipeline.autoscaling.policies import resource, step_alarm_prefix
from pipeline.autoscaling.saved_scaling import read_scaling
from pipeline.deployment.alarms import alarm_prefix
from pipeline.run import Run
from pipeline.state.lock import read_lock

EPOCH_SECONDS = 1_500_000_000  # a number above is a time
STATE = {"AlarmArn", "StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp"}
STATE |= {"StateTransitionedTimestamp", "AlarmConfigurationUpdatedTimestamp"}
DESCRIBED = {"ModelArn", "EndpointConfigArn", "CreationTime", "ResponseMetadata"}


def footprint(run: Run, cloud: local_aws.Running) -> dict[str, Any]:
    """Read it all: endpoint, its fleets, configs, models, alarms, scaling, objects, packages, lock."""
    env = run.env
    found = {
        "endpoint": _endpoint(run, cloud),
        "configs": _all(run, "endpoint_config", "EndpointConfig"),
        "models": _all(run, "model", "Model"),
        "alarms": [
            _without(alarm, STATE)
            for prefix in (alarm_prefix(env), step_alarm_prefix(env))
            for alarm in run.aws.alarms(prefix=prefix)
        ],
        "scaling": (scaled.document() if (scaled := read_scaling(run)) else None),
        "alarms of scaling": _watched(run),
        "objects": [(key, _content(run, key)) for key in run.aws.keys("")],
        "packages": _packages(run),
        "lock": read_lock(run),
    }
    return {key: _plain(value, env.name) for key, value in found.items()}


def _plain(value: Any, name: str) -> Any:
    """Leave out of a value, at any depth, the environment's name, hashes that it decides about, and times."""
    if isinstance(value, dict):
        return {_plain(key, name): _plain(each, name) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return sorted((_plain(each, name) for each in value), key=repr)
    if isinstance(value, float) and value > EPOCH_SECONDS:
        return "TIME"
    if not isinstance(value, str):
        return value
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", value)
    text = re.sub(rf"({name}[a-z-]*-[0-9a-f]{{12}}-[0-9a-f]{{8}})-[0-9a-f]{{8}}", r"\1-HASH", text)
    return re.sub(r"\b\d{15}\b|\d{4}-\d\d-\d\d[T ][\d:.]+(\+00:00|Z)?", "TIME", text).replace(name, "NAME")


def _endpoint(run: Run, cloud: local_aws.Running) -> dict[str, Any] | None:
    found = run.aws.describe_endpoint(run.env.endpoint.name)
    if found is None:
        return None
    kept = ("EndpointStatus", "EndpointConfigName", "FailureReason", "PendingDeploymentSummary")
    (fleets,) = (
        each["fleets"] for each in cloud.status()["endpoints"] if each["name"] == found["EndpointName"]
    )
    variants = [
        {key: each[key] for key in ("CurrentInstanceCount", "DesiredInstanceCount", "CurrentWeight")}
        for each in found["ProductionVariants"]
    ]
    sizes = [(each["config"], each["instance_type"], len(each["instances"])) for each in fleets]
    return {key: found.get(key) for key in kept} | {"variants": variants, "fleets": sizes}


def _all(run: Run, what: str, member: str) -> list[dict[str, Any]]:
    listed = run.aws.pages("sagemaker", f"list_{what}s", f"{member}s", NameContains=run.env.endpoint.name)
    names = sorted(each[f"{member}Name"] for each in listed)
    described = [run.aws.read("sagemaker", f"describe_{what}", **{f"{member}Name": name}) for name in names]
    return [_without(each, DESCRIBED) for each in described]


def _without(described: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key not in names}


def _watched(run: Run) -> int:
    where = resource(run.env)
    policies = run.aws.pages(
        "application-autoscaling", "describe_scaling_policies", "ScalingPolicies", **where
    )
    names = [alarm["AlarmName"] for policy in policies for alarm in policy.get("Alarms", [])]
    return len(run.aws.alarms(names=names))


def _content(run: Run, key: str) -> Any:
    """Return the content of an object without its commit, which is not compared."""
    if not key.endswith(".json"):
        return "bytes"
    return _without(run.aws.get_json(key) or {}, {"commit", "dirty"})


def _packages(run: Run) -> list[tuple[str, str]]:
    group = run.env.aws.model_package_group
    listed = run.aws.pages(
        "sagemaker", "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group
    )
    return sorted((each["ModelPackageDescription"], each["ModelApprovalStatus"]) for each in listed)
