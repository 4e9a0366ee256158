"""Medians and ranges over the repetitions of each server, and ratios between servers. Pure functions."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.comparison.load import Measurement
from benchmarks.comparison.trials import Trial, TrialLog


class Range(NamedTuple):
    """Lowest, median and highest value over the repetitions."""

    lowest: float
    median: float
    highest: float


def range_of(values: Iterable[float | None]) -> Range | None:
    """Return the range of the values that were measured; None if there are none."""
    known = [value for value in values if value is not None]
    return Range(min(known), statistics.median(known), max(known)) if known else None


@dataclass(frozen=True)
class LoadFigures:
    """A server at one concurrency (0: within a process). `errors` is the sum over all repetitions."""

    concurrency: int
    requests_per_second: Range
    p50_ms: Range | None
    p99_ms: Range | None
    errors: int


@dataclass(frozen=True)
class ServerFigures:
    """One server with one workload. `first`, `last`: times of its trials; `revisions`: commits measured."""

    workload: str
    server: str
    repetitions: int
    first: str
    last: str
    revisions: tuple[str, ...]
    engine: str  # the choice of ENGINE=auto; empty for a server with a fixed engine
    cold_start_seconds: Range | None
    pss_mb: Range | None
    background_cpu_share: Range
    loads: tuple[LoadFigures, ...]

    def at(self, concurrency: int) -> LoadFigures | None:
        """Return the figures at one concurrency; None where none were measured."""
        return next((load for load in self.loads if load.concurrency == concurrency), None)


@dataclass
class Summary:
    """The figures of every server, and the reason by "workload server" for each one that could not be measured."""

    seconds: int
    machine: dict[str, str] = field(default_factory=dict)
    servers: list[ServerFigures] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def of(self, workload: str, server: str) -> ServerFigures | None:
        """Return the figures of one server with one workload; None if it was not measured."""
        return next(
            (each for each in self.servers if (each.workload, each.server) == (workload, server)), None
        )

    def update(self, newer: "Summary") -> None:
        """Replace the servers that `newer` has; keep the others."""
        replaced = {(each.workload, each.server) for each in newer.servers}
        kept = [each for each in self.servers if (each.workload, each.server) not in replaced]
        self.servers = sorted([*kept, *newer.servers], key=lambda each: (each.workload, each.server))
        measured = {" ".join(key) for key in replaced}
        self.missing = {
            key: reason for key, reason in (self.missing | newer.missing).items() if key not in measured
        }
        self.machine, self.seconds = newer.machine or self.machine, newer.seconds


def summarise(log: TrialLog) -> Summary:
    """Sum up every server with every workload of the log."""
    keys = dict.fromkeys((trial.workload, trial.server) for trial in log.trials)
    servers = [_server_figures(log.of(*key)) for key in sorted(keys)]
    return Summary(log.seconds, log.machine, servers, dict(log.missing))


def _server_figures(trials: Sequence[Trial]) -> ServerFigures:
    measured = [trial.measured for trial in trials]
    background = range_of(each.background_cpu_share for each in measured)
    assert background is not None, "there is at least one trial"
    loads: dict[int, list[Measurement]] = {}
    for each in measured:
        for load in each.measurements:
            loads.setdefault(load.concurrency, []).append(load)
    return ServerFigures(
        workload=trials[0].workload,
        server=trials[0].server,
        repetitions=len(trials),
        first=min(trial.at for trial in trials),
        last=max(trial.at for trial in trials),
        revisions=tuple(sorted({trial.revision for trial in trials})),
        engine=measured[-1].engine,
        cold_start_seconds=range_of(each.cold_start_seconds for each in measured),
        pss_mb=range_of(each.pss_mb for each in measured),
        background_cpu_share=background,
        loads=tuple(_load_figures(concurrency, runs) for concurrency, runs in sorted(loads.items())),
    )


def _load_figures(concurrency: int, runs: Sequence[Measurement]) -> LoadFigures:
    rates = range_of(run.requests_per_second for run in runs)
    assert rates is not None, "there is at least one run"
    p50_ms, p99_ms = range_of(run.p50_ms for run in runs), range_of(run.p99_ms for run in runs)
    return LoadFigures(concurrency, rates, p50_ms, p99_ms, sum(run.errors for run in runs))


@dataclass(frozen=True)
class Comparison:
    """Our server and the fastest peer at one concurrency."""

    fastest_peer: str
    ratio: float
    p99_ratio: float | None  # above 1: ours is slower than the fastest peer's


def compare(own: LoadFigures | None, peers: Sequence[tuple[str, LoadFigures | None]]) -> Comparison | None:
    """Compare with the peer that has the highest median rate; None if either side was not measured.

    p99 is compared with that same peer: another peer's may be low only because it answers few requests.
    """
    known = [(name, each) for name, each in peers if each is not None and each.requests_per_second.median > 0]
    if own is None or not known:
        return None
    name, fastest = max(known, key=lambda pair: pair[1].requests_per_second.median)
    p99 = own.p99_ms.median / fastest.p99_ms.median if own.p99_ms and fastest.p99_ms else None
    return Comparison(name, own.requests_per_second.median / fastest.requests_per_second.median, p99)
