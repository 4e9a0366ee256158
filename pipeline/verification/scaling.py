"""The load that makes the policy act, and the observed fleet. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

NOTICEABLE = 1.25  # times the target: clearly over it, in spite of the metric's noise
SAFE_SHARE = 0.85  # of the present fleet's capacity, so that it serves while more instances start
CALM_SHARE = 0.2  # of the smallest fleet's target: far below AlarmLow's 0.9, yet enough to lose a request
GENTLE_SHARE = 0.5  # of a rate that one instance served
MINUTE = 60.0  # seconds of AWS's
LEAST_RPS = 0.2  # of a load
STEADY_SHARE = 0.8  # of the target: the most that the smallest fleet serves without scaling out


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
    existing_rps: float = 0.0,
    overload: float | None = None,
) -> ScalingPlan:
    """Derive the rates from the capacity of one instance and the policy's target.

    `target_rps`: requests per second that the policy allows each instance. `existing_rps`: what clients send already; the
    load comes on top. `overload`: the surge as a multiple of the fleet's capacity; None: within it.
    """
    steady = min(STEADY_SHARE * target_rps, SAFE_SHARE * capacity_rps) * instances - existing_rps
    lowest, highest = NOTICEABLE * target_rps * instances, SAFE_SHARE * capacity_rps * instances
    surge: float | None = (lowest + highest) / 2 - existing_rps
    reason = f"{surge:.3g}/s is over the target of {instances} instances and within what they can serve"
    reason += (
        f", with the {existing_rps:.3g}/s that clients send already" if existing_rps >= LEAST_RPS else ""
    )
    if steady < LEAST_RPS:
        surge, reason = (
            None,
            (
                f"clients send {existing_rps:.3g}/s already, and the target of {instances} instances is "
                f"{target_rps * instances:.3g}/s: there is no load under which this fleet is at rest; raise "
                "autoscaling.min_instances, or verify when there is less traffic"
            ),
        )
    elif maximum <= instances:
        surge, reason = None, "min_instances equals max_instances: this endpoint cannot scale"
    elif lowest > highest:
        surge = None
        reason = (
            f"the target of {target_rps * 60:g} per minute is too near the capacity of {capacity_rps:g}/s: "
            "no rate makes the policy act that the present fleet can serve; lower autoscaling.safety_factor"
        )
    if overload is not None and maximum > instances and steady >= LEAST_RPS:
        surge = overload * capacity_rps * instances - existing_rps
        reason = f"{surge:.0f}/s is {overload:g} times what {instances} instances can serve"
        if surge + existing_rps > SAFE_SHARE * capacity_rps * maximum:
            surge, reason = None, f"{reason}, and more than {maximum} can: lower load.*.overload"
    return ScalingPlan(
        steady_rps=max(steady, LEAST_RPS),
        surge_rps=surge,
        calm_rps=max(CALM_SHARE * target_rps * instances - existing_rps, LEAST_RPS),
        reason=reason,
        is_overload=overload is not None,
    )


def gentle_plan(held_rps: float | None, tried_rps: float, instances: int, reason: str) -> ScalingPlan:
    """Return a steady load without a surge, for a fleet whose capacity is not known.

    `held_rps`: the highest rate that one instance kept the SLO at, though not for sure; None: none of those tried, of which
    `tried_rps` was the lowest.
    """
    rate = GENTLE_SHARE * (tried_rps if held_rps is None else held_rps)
    return ScalingPlan(steady_rps=rate * instances, surge_rps=None, calm_rps=LEAST_RPS, reason=reason)


def traffic_rps(counts: Sequence[tuple[float, float]], since: float, scale: float) -> float:
    """Return the requests a second since then, by counts of each minute (epoch seconds of its begin, requests).

    `scale`: AWS's seconds in one of ours. Minutes without a request may be missing.
    """
    if not counts:
        return 0.0
    seconds = (counts[-1][0] - since) * scale + MINUTE
    return sum(count for _, count in counts) / max(seconds, MINUTE)


def scaled_out_at(samples: Sequence[FleetSample], since: float, instances: int) -> float | None:
    """Return when more than `instances` were first InService after `since`."""
    for sample in samples:
        if sample.at >= since and sample.status == "InService" and (sample.current or 0) > instances:
            return sample.at
    return None


def returned_at(samples: Sequence[FleetSample], since: float, minimum: int) -> float | None:
    """Return when the fleet was first at rest at its minimum after `since`."""
    return next((s.at for s in samples if s.at >= since and s.rests_at(minimum)), None)
