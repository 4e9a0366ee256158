"""Judge the fleet under the load: it grew and shrank in time, once, without a lost request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.gates import Gate, Limit, judge
from pipeline.verification.scaling import FleetSample, returned_at, scaled_out_at


@dataclass(frozen=True, kw_only=True)
class ScalingRun:
    """One run: epoch seconds of the load's rise and fall, the fleet's history, and lost requests."""

    samples: tuple[FleetSample, ...]
    instances: int  # before the load rose; also the minimum to return to
    rose_at: float
    fell_at: float | None
    requests: int
    lost: int
    decisions: tuple[int, ...] = ()  # desired counts in the order in which autoscaling set them
    breached_at: float | None = None  # p95 went over the SLO, and was back under it for good
    recovered_at: float | None = None
    invalid: str | None = None  # why the generator could not offer the load: then losses may be its own


@dataclass(frozen=True)
class ScalingLimits:
    """Wall-clock seconds within which the fleet must have grown, and must be back at its minimum.

    `recovery_seconds`: within which p95 must be back within the SLO after an overload; None: no overload is
    tried.
    """

    out_seconds: float
    in_seconds: float
    recovery_seconds: float | None = None


def judge_scaling(run: ScalingRun | None, limits: ScalingLimits, *, why_not: str = "") -> tuple[Gate, ...]:
    """Judge scale-out, scale-in, flapping, lost requests and recovery; without a run, all are INCONCLUSIVE."""
    out_limit, in_limit, flapping_limit, lost_limit, *recovery_limit = _limits(limits)
    if run is None:
        every = (out_limit, in_limit, flapping_limit, lost_limit, *recovery_limit)
        return tuple(judge(each, None, why_not_measured=why_not) for each in every)
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
    turns = float(needless_turns(run)) if out_at is not None else None
    flapping = judge(flapping_limit, turns, why_not_measured="the fleet did not scale out")
    unclear = run.invalid if run.lost else None
    lost = judge(
        lost_limit,
        float(run.lost) if run.requests and not unclear else None,
        why_not_measured=unclear or "no request was sent",
    )
    return scale_out, scale_in, flapping, lost, *(_judge_recovery(each, run) for each in recovery_limit)


def needless_turns(run: ScalingRun) -> int:
    """Count the reversals of the fleet's desired size beyond the one reversal of the load.

    They are counted in autoscaling's decisions where those are known, else in the samples of the fleet.
    """
    seen = [s.desired for s in run.samples if s.at >= run.rose_at and s.desired is not None]
    sizes = [run.instances, *(run.decisions or seen)]
    rises = [after > before for before, after in pairwise(sizes) if after != before]
    turns = [after for before, after in pairwise(rises) if after != before]
    return max(0, len(turns) - 1)


def _judge_recovery(limit: Limit, run: ScalingRun) -> Gate:
    """Judge the recovery from an overload; an SLO that was never broken proves nothing."""
    if run.breached_at is None:
        return judge(limit, None, why_not_measured="the surge did not break the SLO; raise load.*.overload")
    if run.recovered_at is not None:
        return judge(limit, run.recovered_at - run.breached_at)
    watched = (run.fell_at or run.samples[-1].at) - run.breached_at
    if watched <= limit.at_most:
        return judge(limit, None, why_not_measured=f"the surge ended {watched:.0f} s after the breach")
    gate = judge(limit, watched)
    return gate.model_copy(update={"reason": f"p95 not back within the SLO after {limit.at_most:g} s"})


def _limits(limits: ScalingLimits) -> tuple[Limit, ...]:
    recovery = Limit(
        name="recovery",
        metric="recovery_seconds",
        at_most=limits.recovery_seconds or 0.0,
        unit="s",
        passed_reason="from the breach of the SLO by overload to p95 back within it",
    )
    return (
        Limit(
            name="scale out",
            metric="scale_out_seconds",
            at_most=limits.out_seconds,
            unit="s",
            passed_reason="from the load's rise to more instances InService",
        ),
        Limit(
            name="scale in",
            metric="scale_in_seconds",
            at_most=limits.in_seconds,
            unit="s",
            passed_reason="from the load's fall to the minimum at rest",
        ),
        Limit(
            name="flapping",
            metric="needless_turns",
            at_most=0,
            unit="turns",
            passed_reason="the fleet grew once and shrank once, as the load did",
        ),
        Limit(
            name="lost while scaling",
            metric="lost_requests",
            at_most=0,
            unit="lost",
            passed_reason="every request was answered while instances came and went",
        ),
        *([recovery] if limits.recovery_seconds is not None else []),
    )


def _judge_time(limit: Limit, samples: Sequence[FleetSample], since: float, until: float | None) -> Gate:
    """Judge a duration; an event that had not happened when the limit passed is FAILED."""
    if until is not None:
        return judge(limit, until - since)
    watched = samples[-1].at - since if samples else 0.0
    if watched <= limit.at_most:
        return judge(limit, None, why_not_measured=f"watched for only {watched:.0f} s")
    last = samples[-1]
    gate = judge(limit, watched)
    still = f"{last.status} with {last.current} of {last.desired} instances"
    return gate.model_copy(update={"reason": f"not within {limit.at_most:g} s: still {still}"})
