"""What the visits come to: medians over the repetitions, and ratios of medians. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.comparison.results import Visit


@dataclass(frozen=True)
class Figure:
    """One cell: a server at one concurrency. Rates in requests a second; `errors` over all repetitions."""

    median: float
    lowest: float
    highest: float
    repetitions: int
    p99_ms: float | None
    errors: int


def figure(visits: Iterable[Visit], concurrency: int) -> Figure | None:
    """The cell of these visits at `concurrency`, or None where none was measured there."""
    runs = [
        measurement
        for visit in visits
        for measurement in visit.found.measurements
        if measurement.concurrency == concurrency
    ]
    if not runs:
        return None
    rates = [run.requests_per_second for run in runs]
    return Figure(
        statistics.median(rates),
        min(rates),
        max(rates),
        len(runs),
        median_of(run.p99_ms for run in runs),
        sum(run.errors for run in runs),
    )


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of those that there are, or None."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


@dataclass(frozen=True)
class Comparison:
    """Ours beside the best peer at one concurrency."""

    best_peer: str
    ratio: float
    p99_ratio: float | None  # above 1: ours is slower than the best peer's


def compare(own: Figure | None, peers: Sequence[tuple[str, Figure | None]]) -> Comparison | None:
    """The ratio to the peer with the highest median rate; None where there is nothing to compare.

    p99 is compared with that same peer: another's may be low only because it lets little through.
    """
    known = [(name, each) for name, each in peers if each is not None and each.median > 0]
    if own is None or not known:
        return None
    name, best = max(known, key=lambda pair: pair[1].median)
    p99 = own.p99_ms / best.p99_ms if own.p99_ms is not None and best.p99_ms else None
    return Comparison(name, own.median / best.median, p99)
