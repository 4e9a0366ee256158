"""The load that makes the policy act, and the observed fleet. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

NOTICEABLE = 1.25  # times the target: clearly over it, in spite of the metric's noise
SAFE_SHARE = 0.85  # of the present fleet's capacity, so that it serves while more instances start
CALM_SHARE = 0.2  # of the smallest fleet's target: far below AlarmLow's 0.9, yet enough to lose a request


@dataclass(frozen=True)
class FleetSample:
    """The fleet by DescribeEndpoint at `at` (epoch seconds). Counts None: not known."""

    at: float
    status: str
    current: int | None
    desired: int | None

    def rests_at(self, instances: int) -> bool:
        return self.status == "InService" and self.current == self.desired == instances


@dataclass(frozen=True)
class ScalingPlan:
    """Rates in requests per second for the whole endpoint.

    `is_overload`: the surge is over the fleet's capacity, so that the SLO is broken on purpose.
    """

    steady_rps: float
    surge_rps: float | None  # None: no rate both scales out and is served by the present fleet
    calm_rps: float
    reason: str
    policy: str = ""
    is_overload: bool = False


def plan_scaling(
    *,
    capacity_rps: float,
    target_rps: float,
    instances: int,
    maximum: int,
    overload: float | None = None,
) -> ScalingPlan:
    """Derive the rates from the capacity of one instance and the policy's target.

    `target_rps`: requests per second that the policy allows each instance. The steady rate is just under it: the
    most that the smallest fleet serves without scaling out. `overload`: the surge as a multiple of the fleet's
    capacity; None: within it.
    """
    steady = min(0.8 * target_rps, SAFE_SHARE * capacity_rps) * instances
    lowest, highest = NOTICEABLE * target_rps * instances, SAFE_SHARE * capacity_rps * instances
    surge: float | None = (lowest + highest) / 2
    reason = f"{surge:.0f}/s is over the target of {instances} instances and within what they can serve"
    if maximum <= instances:
        surge, reason = None, "min_instances equals max_instances: this endpoint cannot scale"
    elif lowest > highest:
        surge = None
        reason = (
            f"the target of {target_rps * 60:g} per minute is too near the capacity of {capacity_rps:g}/s: "
            "no rate makes the policy act that the present fleet can serve; lower autoscaling.safety_factor"
        )
    if overload is not None and maximum > instances:
        surge = overload * capacity_rps * instances
        reason = f"{surge:.0f}/s is {overload:g} times what {instances} instances can serve"
        if surge > SAFE_SHARE * capacity_rps * maximum:
            surge, reason = None, f"{reason}, and more than {maximum} can: lower load.*.overload"
    return ScalingPlan(
        steady_rps=steady,
        surge_rps=surge,
        calm_rps=max(1.0, CALM_SHARE * target_rps * instances),
        reason=reason,
        is_overload=overload is not None,
    )


def scaled_out_at(samples: Sequence[FleetSample], since: float, instances: int) -> float | None:
    """Return when more than `instances` were first InService after `since`."""
    for sample in samples:
        if sample.at >= since and sample.status == "InService" and (sample.current or 0) > instances:
            return sample.at
    return None


def returned_at(samples: Sequence[FleetSample], since: float, minimum: int) -> float | None:
    """Return when the fleet was first at rest at its minimum after `since`."""
    return next((s.at for s in samples if s.at >= since and s.rests_at(minimum)), None)
