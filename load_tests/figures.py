"""Counts and latency percentiles of a set of requests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that `percent` % of the sorted values do not exceed; None without values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts, and latencies in ms of the successful requests (None when there was none)."""

    requests: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @property
    def error_percent(self) -> float:
        return 100 * self.failures / self.requests if self.requests else 0.0


def figures_of(requests: int, successful_ms: Sequence[float]) -> Figures:
    """Sum up `requests` requests, of which the successful ones took these milliseconds."""
    ordered = sorted(successful_ms)
    return Figures(
        requests=requests,
        failures=requests - len(ordered),
        p50_ms=percentile(ordered, 50),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        max_ms=ordered[-1] if ordered else None,
    )
