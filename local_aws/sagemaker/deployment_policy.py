"""A DeploymentConfig turned into a plan: how much of the new fleet takes traffic, and for how long."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.errors import AwsError, not_imitated

LONGEST_EXECUTION_SECONDS = 28800


@dataclass(frozen=True)
class Step:
    """One move of traffic to the new fleet, and the bake that follows it."""

    active: Mapping[str, int]
    """Instances of the new fleet that take traffic, by variant."""
    shares: Mapping[str, float]
    """Share of a variant's traffic that they take, 0…1; it follows the capacity."""
    bake_seconds: int
    """AWS seconds during which the alarms are watched."""
    full: bool
    """Whether all traffic is on the new fleet."""


@dataclass(frozen=True)
class Plan:
    """How one deployment goes, if nothing goes wrong."""

    steps: tuple[Step, ...]
    alarms: tuple[str, ...]
    maximum_seconds: int
    """AWS seconds from its start to the end of the last bake."""


def plan_deployment(config: Mapping[str, Any] | None, counts: Mapping[str, int]) -> Plan:
    """Plan a deployment onto a new fleet of `counts` instances by variant.

    `config` is the API's DeploymentConfig; None is blue/green, all at once, without a bake.
    Raises AwsError for what AWS refuses and for what is not imitated.
    """
    given = config or {}
    if "RollingUpdatePolicy" in given:
        raise not_imitated("RollingUpdatePolicy")
    policy = given.get("BlueGreenUpdatePolicy", {})
    routing = policy.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0})
    final = Step(counts, dict.fromkeys(counts, 1.0), policy.get("TerminationWaitInSeconds", 0), full=True)
    steps = (*_first_steps(routing, counts), final)
    maximum = policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_EXECUTION_SECONDS)
    waits = sum(step.bake_seconds for step in steps)
    if waits >= maximum:
        raise _invalid(
            f"MaximumExecutionTimeoutInSeconds ({maximum}) must exceed the sum of the waits ({waits})."
        )
    return Plan(steps, _alarm_names(given), maximum)


def _first_steps(routing: Mapping[str, Any], counts: Mapping[str, int]) -> tuple[Step, ...]:
    """List what comes before all traffic is moved."""
    kind = routing["Type"]
    for size, wanted in (("CanarySize", "CANARY"), ("LinearStepSize", "LINEAR")):
        if size in routing and kind != wanted:
            raise _invalid(f"{size} is only for traffic routing of type {wanted}, not {kind}.")
    if kind == "ALL_AT_ONCE":
        return ()
    if kind != "CANARY":
        raise not_imitated(f"Traffic routing of type {kind}")
    if "CanarySize" not in routing:
        raise _invalid("Traffic routing of type CANARY needs CanarySize.")
    active = {name: _canary_count(routing["CanarySize"], name, count) for name, count in counts.items()}
    shares = {name: active[name] / count for name, count in counts.items()}
    return (Step(active, shares, routing["WaitIntervalInSeconds"], full=False),)


def _canary_count(size: Mapping[str, Any], variant: str, count: int) -> int:
    """Instances of one variant that are its canary: at least one, at most half of them."""
    if size["Type"] == "INSTANCE_COUNT":
        canary = int(size["Value"])
    else:
        if size["Value"] > 50:
            raise _invalid(f"CanarySize is {size['Value']} % of the capacity; it may be at most 50 %.")
        canary = max(1, math.floor(count * size["Value"] / 100))
    if canary * 2 > count:
        raise _invalid(
            f"CanarySize is {canary} of the {count} instance(s) of variant {variant}; "
            "it may be at most 50 % of the capacity."
        )
    return canary


def _alarm_names(given: Mapping[str, Any]) -> tuple[str, ...]:
    alarms = given.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    names = [alarm.get("AlarmName", "") for alarm in alarms]
    if "" in names or len(set(names)) != len(names):
        raise _invalid("Each alarm of AutoRollbackConfiguration needs an AlarmName of its own.")
    return tuple(names)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
