"""Derive the targets of scaling policies from the capacity of one instance. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.verification.capacity import Capacity, Step, Targets

LEAST_CONCURRENCY = 1.0  # the metric counts whole requests: below one, a single request would scale out


def targets_of(
    steps: Sequence[Step], requests_per_second: float | None, safety_factor: float
) -> Targets | None:
    """Turn a capacity into the targets of both kinds of policy; None without a capacity."""
    if requests_per_second is None:
        return None
    return Targets(
        safety_factor=safety_factor,
        invocations_per_minute=target_per_minute(requests_per_second, safety_factor),
        concurrent_requests=target_concurrency(steps, requests_per_second, safety_factor),
    )


def measured_of(capacity: Capacity, safety_factor: float) -> MeasuredCapacity | None:
    """Return the part of a capacity that scaling uses; None: no capacity was named."""
    rate = capacity.requests_per_second
    return (
        None
        if rate is None
        else MeasuredCapacity(rate, target_concurrency(capacity.steps, rate, safety_factor))
    )


def target_per_minute(requests_per_second: float, safety_factor: float) -> float:
    """Return AWS's advice for invocations per instance: capacity × safety factor × 60."""
    return round(requests_per_second * safety_factor * 60, 2)


def target_concurrency(
    steps: Sequence[Step], requests_per_second: float, safety_factor: float
) -> float | None:
    """Return the concurrent requests of one instance at capacity × safety factor, by the high-resolution metric.

    Waiting grows faster than the rate, so the figure is interpolated on the measured curve: straight lines between
    the rates that were tried, and from zero to the lowest. None where CloudWatch had no figures.
    """
    wanted = requests_per_second * safety_factor
    curve = _curve(steps)
    for (low, fewer), (high, more) in pairwise(curve):
        if low <= wanted <= high:
            found = fewer + (more - fewer) * (wanted - low) / (high - low)
            return max(LEAST_CONCURRENCY, round(found, 1))
    return None


def rate_of_concurrency(steps: Sequence[Step], concurrency: float) -> float | None:
    """Return the lowest requests per second with this concurrency on one instance; None beyond the curve."""
    for (low, fewer), (high, more) in pairwise(_curve(steps)):
        if fewer <= concurrency <= more and more > fewer:
            return low + (high - low) * (concurrency - fewer) / (more - fewer)
    return None


def held_rate(steps: Sequence[Step], *, per_minute: float | None, concurrency: float | None) -> float | None:
    """Return the requests per second at which the policies hold one instance: the lower target acts first.

    None where no policy has a target, or the rate of that concurrency was not measured.
    """
    rates = [
        None if per_minute is None else per_minute / 60,
        None if concurrency is None else rate_of_concurrency(steps, concurrency),
    ]
    return min((rate for rate in rates if rate is not None), default=None)


def _curve(steps: Sequence[Step]) -> list[tuple[float, float]]:
    """Return points (requests per second, concurrent requests), rising in both; of a repeated rate the last counts.

    A dip is noise: more load does not keep fewer requests waiting.
    """
    known = {step.offered_rps: step.concurrency for step in steps if step.concurrency is not None}
    if not known:
        return []
    points, most = [(0.0, 0.0)], 0.0
    for rate, concurrency in sorted(known.items()):
        most = max(most, concurrency)
        points.append((rate, most))
    return points
