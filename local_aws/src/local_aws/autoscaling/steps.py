"""Step policies: the distance of the metric from the alarm's threshold selects the step (pure)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from local_aws.cloudwatch.alarm import Trigger
from local_aws.errors import invalid

_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": fmean,
    "Minimum": min,
    "Maximum": max,
}


def check_steps(configuration: Mapping[str, Any]) -> None:
    """Refuse steps that leave a gap, overlap or have no end. Raises AwsError."""
    steps, kind = configuration.get("StepAdjustments"), configuration.get("AdjustmentType")
    if not steps or kind is None:
        raise invalid("A step scaling policy needs AdjustmentType and StepAdjustments.")
    if "MinAdjustmentMagnitude" in configuration and kind != "PercentChangeInCapacity":
        raise invalid("MinAdjustmentMagnitude goes with PercentChangeInCapacity only.")
    if configuration.get("Cooldown", 0) < 0:
        raise invalid("Cooldown must not be negative.")
    if kind == "ExactCapacity" and any(step["ScalingAdjustment"] < 0 for step in steps):
        raise invalid("ScalingAdjustment of ExactCapacity must not be negative.")
    bounds = sorted(_bounds(step) for step in steps)
    if any(lower >= upper for lower, upper in bounds):
        raise invalid("MetricIntervalLowerBound must be below MetricIntervalUpperBound.")
    if any(one[1] != other[0] for one, other in pairwise(bounds)):
        raise invalid("StepAdjustments must neither overlap nor leave a gap.")
    if -math.inf < bounds[0][0] < 0 or 0 < bounds[-1][1] < math.inf:
        raise invalid("The outermost step below or above the threshold must have no bound.")


def _bounds(step: Mapping[str, Any]) -> tuple[float, float]:
    lower, upper = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
    return -math.inf if lower is None else lower, math.inf if upper is None else upper


@dataclass(frozen=True)
class StepSignal:
    """One alarm that starts a step policy; `distance` is of its metric from its threshold."""

    policy: str
    alarm: str
    distance: float
    configuration: Mapping[str, Any]

    @classmethod
    def of(cls, policy: str, trigger: Trigger, configuration: Mapping[str, Any]) -> "StepSignal":
        """Aggregate the datapoints that decided the alarm as the policy wants them."""
        aggregate = _AGGREGATIONS[configuration.get("MetricAggregationType", "Average")]
        return cls(policy, trigger.alarm, aggregate(trigger.values) - trigger.threshold, configuration)

    def wants(self, current: int) -> int:
        """Return the capacity that this policy asks for, before the limits; `current` when no step matches."""
        adjustment = self._adjustment()
        if adjustment is None:
            return current
        match self.configuration["AdjustmentType"]:
            case "ExactCapacity":
                return adjustment
            case "ChangeInCapacity":
                return max(current + adjustment, 0)
        change = current * adjustment / 100
        size = math.floor(abs(change)) if abs(change) >= 1 else math.ceil(abs(change))
        size = max(size, self.configuration.get("MinAdjustmentMagnitude", 0)) if change else 0
        return max(current + int(math.copysign(size, change)), 0)

    def _adjustment(self) -> int | None:
        """Find the step: above the threshold lower bounds are inclusive, below it upper ones, on it both."""
        steps = [
            (_bounds(step), int(step["ScalingAdjustment"])) for step in self.configuration["StepAdjustments"]
        ]
        above = [by for (lower, upper), by in steps if lower <= self.distance < upper]
        below = [by for (lower, upper), by in steps if lower < self.distance <= upper]
        found = above or below if self.distance >= 0 else below
        return found[0] if found else None
