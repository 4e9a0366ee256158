"""The changes of a deployment: settings that are live, settings that are coming, and the calls. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.plan import Plan, config_parameters, model_parameters
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release import Release

Action = Literal["create", "replace", "update", "wait", "adjust", "nothing"]
MARKS = {"create": "+", "put": "+", "register": "+", "update": "~", "delete": "-", "deregister": "-"}


class Change(Model):
    """One changed setting. None: it is not set."""

    setting: str
    live: str | None
    coming: str | None


class PlannedCall(Model):
    """One write that `deploy` would make."""

    service: str
    operation: str
    params: dict[str, Any]
    says: str


class PlanResult(Model):
    """The plan of `deploy`. `instances`: the live fleet's size, which an update keeps.

    `action`: "wait": the change is under way; "adjust": alarms only; "nothing": no call.
    """

    release: str
    config: str
    endpoint: str
    action: Action
    live_release: str | None
    live_config: str | None
    instances: int | None
    changes: tuple[Change, ...]
    planned: tuple[str, ...]
    calls: tuple[PlannedCall, ...]
    notes: tuple[str, ...] = ()  # what every report of the release must say


@dataclass(frozen=True)
class Live:
    """The live endpoint, config and model as AWS describes them; empty where there is none."""

    endpoint: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)


def settings_of(model: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a fleet by readable names."""
    container = model.get("PrimaryContainer", {})
    variant: Mapping[str, Any] = next(iter(config.get("ProductionVariants", [])), {})
    capture, vpc = config.get("DataCaptureConfig", {}), model.get("VpcConfig", {})
    named = {
        "image": container.get("Image"),
        "weights": container.get("ModelDataUrl"),
        "execution role": model.get("ExecutionRoleArn"),
        "variant": variant.get("VariantName"),
        "instance type": variant.get("InstanceType"),
        "inference AMI": variant.get("InferenceAmiVersion"),
        "routing": variant.get("RoutingConfig", {}).get("RoutingStrategy"),
        "startup timeout seconds": variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
    }
    named |= {
        "subnets": " ".join(vpc.get("Subnets", [])) or None,
        "security groups": " ".join(vpc.get("SecurityGroupIds", [])) or None,
        "network isolation": "on" if model.get("EnableNetworkIsolation") else None,
        "storage key": config.get("KmsKeyId"),
        "data capture": _captured(capture) if capture.get("EnableCapture") else None,
        "data capture key": capture.get("KmsKeyId"),
    }
    environment = {f"environment {key}": value for key, value in container.get("Environment", {}).items()}
    return {key: str(value) for key, value in {**named, **environment}.items() if value is not None}


def _captured(capture: Mapping[str, Any]) -> str:
    content = " and ".join(each["CaptureMode"].lower() for each in capture["CaptureOptions"])
    return f"{capture['InitialSamplingPercentage']} % of {content} to {capture['DestinationS3Uri']}"


def changes_between(live: Mapping[str, str], coming: Mapping[str, str]) -> tuple[Change, ...]:
    """Name each setting that differs, in the order of the coming settings; removed ones come last."""
    keys = [*coming, *(key for key in live if key not in coming)]
    return tuple(
        Change(setting=key, live=live.get(key), coming=coming.get(key))
        for key in keys
        if live.get(key) != coming.get(key)
    )


def describe_plan(release: Release, env: Environment, plan: Plan, live: Live) -> PlanResult:
    """Return a plan together with its changes."""
    config = live.endpoint.get("EndpointConfigName")
    coming = settings_of(model_parameters(release, env), config_parameters(release, env))
    variants = live.endpoint.get("ProductionVariants", [])
    return PlanResult(
        release=release.id,
        config=plan.config,
        endpoint=env.endpoint.name,
        action=_action(plan),
        live_release=release_of(config) if config else None,
        live_config=config,
        instances=sum(each.get("DesiredInstanceCount", 0) for each in variants) or None,
        changes=changes_between(settings_of(live.model, live.config), coming),
        planned=tuple(call.says for call in plan.calls),
        calls=tuple(_planned(call) for call in plan.calls),
        notes=release.notes,
    )


def _action(plan: Plan) -> Action:
    if plan.replaces_failed:
        return "replace"
    if plan.is_resumed:
        return "wait"
    if plan.shift is None:
        return "adjust" if plan.calls else "nothing"
    return "create" if plan.shift.operation == "create_endpoint" else "update"


def _planned(call: Call) -> PlannedCall:
    return PlannedCall(
        service=call.service, operation=call.operation, params=dict(call.params), says=call.says
    )


def lines_of(result: PlanResult, strategy: str) -> Iterator[str]:
    """Yield the plan as text: the change in one line, the settings that differ, then call by call."""
    yield from result.notes
    if result.action == "nothing":
        yield f"{result.release} is live on {result.endpoint}: nothing to do"
        return
    came_from = result.live_release or result.live_config or "nothing"
    how = f"{result.action}, {strategy}" if result.action == "update" else result.action
    yield f"{result.endpoint}: {came_from} → {result.release} ({how})"
    for change in result.changes:
        mark = "+" if change.live is None else "-" if change.coming is None else "~"
        before_after = " → ".join(value for value in (change.live, change.coming) if value is not None)
        yield f"  {mark} {change.setting}: {before_after}"
    if result.action == "update" and result.instances:
        yield f"  = instances: {result.instances}, kept"
    yield f"{len(result.calls)} calls:" if result.calls else "no calls: the change is under way"
    for call in result.calls:
        yield f"  {MARKS[call.operation.partition('_')[0]]} {call.says}"
        shown = f"{call.service} {call.operation} {json.dumps(call.params, indent=2)}"
        yield "      " + shown.replace("\n", "\n      ")
