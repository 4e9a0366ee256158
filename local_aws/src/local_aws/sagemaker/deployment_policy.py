"""Deployment plans: the steps of a DeploymentConfig, each a traffic shift and a bake."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.errors import invalid

Counts = Mapping[str, int]
"""Instances by variant."""

LONGEST_EXECUTION_SECONDS = 28800
# Percent of a variant's instances that a size of this name may be.
LIMITS = {
    "CanarySize": (0, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (0, 100),
}
SIZE_OF = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Step:
    """One move of traffic between the fleets, and the bake that follows it."""

    active: Counts
    """Instances of the new fleet that take traffic."""
    kept: Counts
    """Instances of the old fleet that still take traffic."""
    shares: Mapping[str, float]
    """Share of a variant's traffic that the new fleet takes, 0…1; it follows the capacity."""
    bake_seconds: int
    """AWS seconds during which the alarms are watched."""
    full: bool
    """True when all traffic is on the new fleet."""


@dataclass(frozen=True)
class Plan:
    """The steps of one deployment, and those of its rollback."""

    steps: tuple[Step, ...]
    alarms: tuple[str, ...]
    maximum_seconds: int
    """AWS seconds from its start to the end of the last bake."""
    old: Counts
    new: Counts
    rolling: bool = False
    """True when instances are replaced batch by batch; else both fleets are whole until the end."""
    rollback_batch: Counts | None = None
    """Old instances restored at a time in a rollback; None: all at once."""

    @property
    def extra(self) -> Counts:
        """Return the largest number of instances beyond the old fleet's, by variant."""
        if not self.rolling:
            return self.new
        standing, most = self.old, dict.fromkeys(self.new, 0)
        for step in self.steps:  # new instances come before old ones go
            for name, active in step.active.items():
                most[name] = max(most[name], active + standing[name] - self.old[name])
            standing = step.kept
        return most

    def rollback_steps(self, standing: Counts) -> Iterator[Step]:
        """Yield the steps from `standing` old instances back to all of them, at least one step."""
        kept, batch = standing, self.rollback_batch or self.old
        while True:
            kept = {name: min(count, kept[name] + batch[name]) for name, count in self.old.items()}
            shares = {name: 1 - kept.get(name, 1) / max(self.old.get(name, 1), 1) for name in self.new}
            active = {name: math.ceil(count * shares[name]) for name, count in self.new.items()}
            if kept == self.old:
                yield Step(dict.fromkeys(self.new, 0), kept, dict.fromkeys(self.new, 0.0), 0, full=False)
                return
            yield Step(active, kept, shares, 0, full=False)


def plan_deployment(config: Mapping[str, Any] | None, new: Counts, old: Counts | None = None) -> Plan:
    """Plan a deployment onto a `new` fleet, from an `old` one (by default, of the same size).

    `config` is the API's DeploymentConfig; None is blue/green, all at once, without a bake.
    Raises AwsError for what AWS refuses.
    """
    given, old = config or {}, new if old is None else old
    rolling = given.get("RollingUpdatePolicy")
    if rolling is not None and "BlueGreenUpdatePolicy" in given:
        raise invalid("Give only one of BlueGreenUpdatePolicy and RollingUpdatePolicy.")
    back = None
    if rolling is not None:
        if len(new) > 1:
            raise invalid("A rolling deployment is not for endpoints with several variants.")
        policy, last = rolling, rolling["WaitIntervalInSeconds"]
        partial = _grow(_sizes(rolling, "MaximumBatchSize", new), new, old, last)
        if "RollbackMaximumBatchSize" in rolling:
            back = _sizes(rolling, "RollbackMaximumBatchSize", old)
    else:
        policy = given.get("BlueGreenUpdatePolicy", {})
        last = policy.get("TerminationWaitInSeconds", 0)
        partial = _blue_green(policy.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE"}), new, old)
    steps = (*partial, Step(new, dict.fromkeys(old, 0), dict.fromkeys(new, 1.0), last, full=True))
    maximum = policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_EXECUTION_SECONDS)
    waits = sum(step.bake_seconds for step in steps)
    if waits >= maximum:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds ({maximum}) must exceed the sum of the waits ({waits})."
        )
    return Plan(steps, _alarm_names(given), maximum, old, new, rolling is not None, back)


def _blue_green(routing: Mapping[str, Any], new: Counts, old: Counts) -> Iterator[Step]:
    """Yield the steps before all traffic is moved."""
    kind = routing["Type"]
    for wanted, size in SIZE_OF.items():
        if size in routing and kind != wanted:
            raise invalid(f"{size} is only for traffic routing of type {wanted}, not {kind}.")
    if kind == "ALL_AT_ONCE":
        return
    if SIZE_OF[kind] not in routing:
        raise invalid(f"Traffic routing of type {kind} needs {SIZE_OF[kind]}.")
    sizes, wait = _sizes(routing, SIZE_OF[kind], new), routing["WaitIntervalInSeconds"]
    if kind == "LINEAR":
        yield from _grow(sizes, new, old, wait)
    else:
        yield Step(sizes, old, _shares(sizes, new), wait, full=False)


def _grow(sizes: Counts, new: Counts, old: Counts, wait: int) -> Iterator[Step]:
    """Yield equal steps until the next one would be the last; an equal part of the old fleet goes each time."""
    active = sizes
    while active != new:
        shares = _shares(active, new)
        kept = {name: math.ceil(count * (1 - shares[name])) for name, count in old.items()}
        yield Step(active, kept, shares, wait, full=False)
        active = {name: min(count, active[name] + sizes[name]) for name, count in new.items()}


def _shares(active: Counts, new: Counts) -> dict[str, float]:
    return {name: active[name] / count for name, count in new.items()}


def _sizes(policy: Mapping[str, Any], field: str, counts: Counts) -> dict[str, int]:
    return {name: _size(policy[field], field, name, count) for name, count in counts.items()}


def _size(size: Mapping[str, Any], field: str, variant: str, count: int) -> int:
    """Convert a CapacitySize to instances of one variant; percents are rounded down, to at least one."""
    (least, most), value = LIMITS[field], size["Value"]
    by_percent = size["Type"] == "CAPACITY_PERCENT"
    limit = f"it may be at least {least} %, at most {most} % of the capacity."
    if by_percent and not least <= value <= most:
        raise invalid(f"{field} is {value} % of the capacity; {limit}")
    instances = max(1, math.floor(count * value / 100)) if by_percent else int(value)
    if instances * 100 > count * most or (not by_percent and instances * 100 < count * least):
        raise invalid(f"{field} is {instances} of the {count} instance(s) of variant {variant}; {limit}")
    return instances


def _alarm_names(given: Mapping[str, Any]) -> tuple[str, ...]:
    alarms = given.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    names = [alarm.get("AlarmName", "") for alarm in alarms]
    if "" in names or len(set(names)) != len(names):
        raise invalid("Each alarm of AutoRollbackConfiguration needs an AlarmName of its own.")
    return tuple(names)
