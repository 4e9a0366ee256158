"""Scaling decisions: pure functions from capacities and alarms to a new capacity."""

from collections.abc import Sequence
from dataclasses import dataclass

from local_aws.autoscaling.facts import proportional
from local_aws.autoscaling.steps import StepSignal


@dataclass(frozen=True)
class Bounds:
    """Current and desired instances of a variant, and the limits of its scalable target."""

    current: int
    desired: int
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Signal:
    """One target-tracking policy's alarm in ALARM, with the newest value of its metric."""

    policy: str
    alarm: str
    metric: float
    target: float

    def wants(self, current: int) -> int:
        """Return the capacity that this policy asks for, before the limits are applied."""
        return proportional(current, self.metric, self.target)


@dataclass(frozen=True)
class ScaleTo:
    """Set the desired capacity to `count`, because of `signal`."""

    count: int
    signal: Signal | StepSignal


@dataclass(frozen=True)
class NotScaled:
    """Do nothing, for AWS's reason `code`."""

    code: str
    signal: Signal | StepSignal


def decide_scale_out(
    bounds: Bounds, signals: Sequence[Signal | StepSignal], *, cooling_from: int | None = None
) -> ScaleTo | NotScaled | None:
    """Scale out if any policy asks for it; the largest capacity wins.

    `cooling_from` is the capacity before the scale-out whose cooldown is in force, else None. Then the metric is
    compared with that capacity, so that instances already starting are not counted twice.
    """
    if not signals:
        return None
    base = bounds.current if cooling_from is None else cooling_from
    signal = max(signals, key=lambda one: one.wants(base))
    wanted = signal.wants(base)
    if wanted <= bounds.desired:
        return None
    if bounds.desired >= bounds.maximum:
        return NotScaled("AlreadyAtMaxCapacity", signal)
    return ScaleTo(max(bounds.minimum, min(wanted, bounds.maximum)), signal)


def decide_scale_in(
    bounds: Bounds, signals: Sequence[Signal | StepSignal], *, policies: int, cooling: bool
) -> ScaleTo | NotScaled | None:
    """Scale in if all of the `policies` that may scale in ask for it; the largest capacity wins.

    A scale-in after which the metric would exceed the target again is not made (`ceil`).
    """
    if cooling or not signals or len(signals) < policies:
        return None
    signal = max(signals, key=lambda one: one.wants(bounds.current))
    if bounds.desired <= bounds.minimum:
        return NotScaled("AlreadyAtMinCapacity", signal)
    wanted = max(signal.wants(bounds.current), bounds.minimum)
    if wanted >= bounds.desired:
        return NotScaled("AutoScalingAnticipatedFlapping", signal)
    return ScaleTo(min(wanted, bounds.maximum), signal)
