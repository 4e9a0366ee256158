"""Prove that the policy scales: the load that must make it act, and what the fleet did. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.gates import Gate, Limit, judge

NOTICEABLE = 1.25  # times the target: clearly over it, whatever the metric's noise
SAFE_SHARE = 0.85  # of the present fleet's capacity, so that it serves while more instances start
CALM_SHARE = 0.2  # of the smallest fleet's target: far below AlarmLow's 0.9, yet enough to lose a request


@dataclass(frozen=True)
class FleetSample:
    """What DescribeEndpoint said at `at` (epoch s). Counts None: it could not be read."""

    at: float
    status: str
    current: int | None
    desired: int | None

    def rests_at(self, instances: int) -> bool:
        return self.status == "InService" and self.current == self.desired == instances


@dataclass(frozen=True)
class ScalingPlan:
    """Rates in requests per second for the whole endpoint."""

    steady_rps: float
    surge_rps: float | None  # None: no rate both scales out and is served by the present fleet
    calm_rps: float
    reason: str
    policy: str = ""


def plan_scaling(
    *, capacity_rps: float, target_per_minute: float, instances: int, maximum: int
) -> ScalingPlan:
    """Derive the rates from what one instance can do and what the policy aims at.

    `target_per_minute`: invocations per instance and minute, AWS's own unit. Steady is just under the
    target: the most that the policy leaves to each instance of the smallest fleet.
    """
    target_rps = target_per_minute / 60
    steady = min(0.8 * target_rps, SAFE_SHARE * capacity_rps) * instances
    lowest, highest = NOTICEABLE * target_rps * instances, SAFE_SHARE * capacity_rps * instances
    surge: float | None = (lowest + highest) / 2
    reason = f"{surge:.0f}/s is over the target of {instances} instances and within what they can serve"
    if maximum <= instances:
        surge, reason = None, "min_instances equals max_instances: this endpoint cannot scale"
    elif lowest > highest:
        surge = None
        reason = (
            f"the target of {target_per_minute:g} per minute is too near the capacity of {capacity_rps:g}/s: "
            "no rate makes the policy act that the present fleet can serve; lower autoscaling.safety_factor"
        )
    return ScalingPlan(
        steady_rps=steady,
        surge_rps=surge,
        calm_rps=max(1.0, CALM_SHARE * target_rps * instances),
        reason=reason,
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


@dataclass(frozen=True, kw_only=True)
class ScalingRun:
    """What happened: epoch seconds of the load's rise and fall, the fleet's history, and requests lost."""

    samples: tuple[FleetSample, ...]
    instances: int  # before the load rose; also the minimum to return to
    rose_at: float
    fell_at: float | None
    requests: int
    lost: int


@dataclass(frozen=True)
class ScalingLimits:
    """Wall-clock seconds within which the fleet must have grown, and must be back at its minimum."""

    out_seconds: float
    in_seconds: float


def judge_scaling(run: ScalingRun | None, limits: ScalingLimits, *, why_not: str = "") -> tuple[Gate, ...]:
    """Judge scale-out, scale-in and lost requests; without a run, all three are INCONCLUSIVE."""
    out_limit, in_limit, lost_limit = _limits(limits)
    if run is None:
        return tuple(
            judge(each, None, why_not_measured=why_not) for each in (out_limit, in_limit, lost_limit)
        )
    out_at = scaled_out_at(run.samples, run.rose_at, run.instances)
    scale_out = _judge_time(out_limit, run.samples, run.rose_at, out_at)
    before = [sample for sample in run.samples if sample.at < run.rose_at and sample.desired is not None]
    if not before or before[-1].desired != run.instances:
        why = f"the fleet was not at rest with {run.instances} instances when the load rose"
        scale_out = judge(out_limit, None, why_not_measured=why)
    if out_at is None or run.fell_at is None:
        scale_in = judge(in_limit, None, why_not_measured="the fleet did not scale out")
    else:
        back_at = returned_at(run.samples, run.fell_at, run.instances)
        scale_in = _judge_time(in_limit, run.samples, run.fell_at, back_at)
    lost = float(run.lost) if run.requests else None
    return scale_out, scale_in, judge(lost_limit, lost, why_not_measured="no request was sent")


def _limits(limits: ScalingLimits) -> tuple[Limit, Limit, Limit]:
    return (
        Limit(
            name="scale out",
            metric="scale_out_seconds",
            at_most=limits.out_seconds,
            unit="s",
            promise="from the load's rise to more instances InService",
        ),
        Limit(
            name="scale in",
            metric="scale_in_seconds",
            at_most=limits.in_seconds,
            unit="s",
            promise="from the load's fall to the minimum at rest",
        ),
        Limit(
            name="lost while scaling",
            metric="lost_requests",
            at_most=0,
            unit="lost",
            promise="every request was answered while instances came and went",
        ),
    )


def _judge_time(limit: Limit, samples: Sequence[FleetSample], since: float, until: float | None) -> Gate:
    """Judge how long something took; what had not happened when the limit passed is FAILED."""
    if until is not None:
        return judge(limit, until - since)
    watched = samples[-1].at - since if samples else 0.0
    if watched <= limit.at_most:
        return judge(limit, None, why_not_measured=f"watched for only {watched:.0f} s")
    last = samples[-1]
    gate = judge(limit, watched)
    still = f"{last.status} with {last.current} of {last.desired} instances"
    return gate.model_copy(update={"reason": f"not within {limit.at_most:g} s: still {still}"})
