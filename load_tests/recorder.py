"""Every request of a run, compactly, and the figures made from these raw numbers at its end."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from load_tests.saturation import why_invalid

NO_ERROR = 0
SLICE_REQUESTS = 20  # to either of two compared endpoints, so that a slice's percentiles mean something


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that `percent` % of the sorted values do not exceed; None without values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts, and latencies in ms of the requests that were answered well (None when there was none)."""

    requests: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @property
    def error_percent(self) -> float:
        return 100 * self.failures / self.requests if self.requests else 0.0


@dataclass
class PhaseRecord:
    """One phase as it really ran: wall-clock start and end, and the generator's CPU seconds at both."""

    name: str
    offered_rps: float
    started: float
    cpu_at_start: float
    finished: float | None = None
    cpu_at_end: float = 0.0
    trouble: str | None = None  # why nobody may judge by it, whatever its figures


@dataclass
class Recorder:
    """Keeps 19 bytes a request: intended start (epoch s), duration from then on (ms), how late the generator
    itself was (ms), the index of the error sentence, and which of two compared endpoints it went to.
    """

    starts: "array[float]" = field(default_factory=lambda: array("d"))
    durations: "array[float]" = field(default_factory=lambda: array("f"))
    lags: "array[float]" = field(default_factory=lambda: array("f"))
    errors: "array[int]" = field(default_factory=lambda: array("H"))
    sides: "array[int]" = field(default_factory=lambda: array("B"))
    sentences: list[str] = field(default_factory=lambda: [""])
    phases: list[PhaseRecord] = field(default_factory=list)
    fleet: list[dict[str, Any]] = field(default_factory=list)
    identities: dict[str, Counter[str]] = field(default_factory=dict)
    first_heard: dict[str, float] = field(default_factory=dict)
    limit_ms: float | None = None  # the promise: well answered, but later than this, is too slow

    def record(
        self, started: float, milliseconds: float, error: str | None, *, lag_ms: float = 0.0, side: int = 0
    ) -> None:
        """Keep one request that was to begin at `started` (epoch s) and took so long from then on.

        `error` is a sentence without changing parts; `lag_ms`: how much later the generator really began;
        `side` 1: it went to the endpoint that this one is compared with.
        """
        self.sides.append(side)
        self.starts.append(started)
        self.durations.append(milliseconds)
        self.lags.append(lag_ms)
        self.errors.append(NO_ERROR if error is None else self._index(error))

    def _index(self, sentence: str) -> int:
        if sentence in self.sentences:
            return self.sentences.index(sentence)
        if len(self.sentences) >= 1000:
            sentence = "further kinds of error"
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return self.sentences.index(sentence)

    def heard(self, release: str, instance: str, *, at: float) -> None:
        """Count one answer of this instance of this release, which came at `at` (epoch s)."""
        self.first_heard.setdefault(instance, at)
        self.identities.setdefault(release, Counter())[instance] += 1

    def take_identities(self) -> dict[str, dict[str, int]]:
        """Return who has answered how often since the last call, and forget it."""
        taken = {release: dict(heard) for release, heard in self.identities.items()}
        self.identities = {}
        return taken

    def join(self, records: Mapping[str, Any]) -> None:
        """Add the requests that another recorder has kept (`generators.records_of`)."""
        for name in ("starts", "durations", "lags", "sides"):
            getattr(self, name).frombytes(records[name])
        kinds = array("H")
        kinds.frombytes(records["errors"])
        known = [NO_ERROR, *(self._index(sentence) for sentence in records["sentences"][1:])]
        self.errors.extend(known[kind] for kind in kinds)
        for instance, at in records["first_heard"].items():
            self.first_heard[instance] = min(at, self.first_heard.get(instance, at))
        for release, heard in records["heard"].items():
            self.identities.setdefault(release, Counter()).update(heard)

    def begin_phase(self, name: str, offered_rps: float, *, now: float, cpu_seconds: float) -> None:
        self.phases.append(PhaseRecord(name, offered_rps, now, cpu_seconds))

    def end_phase(self, *, now: float, cpu_seconds: float) -> None:
        """Close the phase that runs; closing twice changes nothing."""
        if self.phases and self.phases[-1].finished is None:
            self.phases[-1].finished, self.phases[-1].cpu_at_end = now, cpu_seconds

    def _requests_of(self, phase: PhaseRecord) -> list[int]:
        """Return the indices of the requests that began in this phase, and before the next."""
        position = next(i for i, each in enumerate(self.phases) if each is phase)
        end = self.phases[position + 1].started if position + 1 < len(self.phases) else math.inf
        return [i for i, at in enumerate(self.starts) if phase.started <= at < end]

    def _answered_during(self, phase: PhaseRecord) -> int:
        """Count the answers that came, good or bad, while the phase ran: a queue that grows is no service."""
        assert phase.finished is not None, f"phase {phase.name} still runs"
        ends = (at + ms / 1000 for at, ms in zip(self.starts, self.durations, strict=True))
        return sum(phase.started <= end < phase.finished for end in ends)

    def _slow(self, indices: Iterable[int]) -> int | None:
        """Count the good answers that came later than was promised; None without a promise."""
        if self.limit_ms is None:
            return None
        return sum(self.errors[i] == NO_ERROR and self.durations[i] > self.limit_ms for i in indices)

    def figures(self, indices: Iterable[int]) -> Figures:
        chosen = list(indices)
        good = sorted(self.durations[i] for i in chosen if self.errors[i] == NO_ERROR)
        return Figures(
            requests=len(chosen),
            failures=len(chosen) - len(good),
            p50_ms=percentile(good, 50),
            p95_ms=percentile(good, 95),
            p99_ms=percentile(good, 99),
            max_ms=good[-1] if good else None,
        )

    def phase_result(self, phase: PhaseRecord) -> dict[str, Any]:
        """Sum up one closed phase; `generator_cpu_percent` is of one core, which is all Locust can use."""
        assert phase.finished is not None, f"phase {phase.name} still runs"
        seconds = max(phase.finished - phase.started, 1e-9)
        indices = self._requests_of(phase)
        figures = self.figures(indices)
        cpu_percent = 100 * (phase.cpu_at_end - phase.cpu_at_start) / seconds
        lag = percentile(sorted(self.lags[i] for i in indices), 99)
        kinds = Counter(self.sentences[self.errors[i]] for i in indices if self.errors[i] != NO_ERROR)
        return {
            "name": phase.name,
            "offered_rps": phase.offered_rps,
            "started": phase.started,
            "finished": phase.finished,
            "requests": figures.requests,
            "failures": figures.failures,
            "slow": self._slow(indices),
            "achieved_rps": self._answered_during(phase) / seconds,
            "p50_ms": figures.p50_ms,
            "p95_ms": figures.p95_ms,
            "p99_ms": figures.p99_ms,
            "max_ms": figures.max_ms,
            "generator_cpu_percent": cpu_percent,
            "lag_p99_ms": lag,
            "invalid": phase.trouble or why_invalid(cpu_percent, lag),
            "errors": dict(kinds.most_common()),
        }

    def seconds(self) -> list[dict[str, Any]]:
        """Return one row for each wall-clock second in which a request began."""
        buckets: dict[int, list[int]] = {}
        for i, at in enumerate(self.starts):
            buckets.setdefault(math.floor(at), []).append(i)
        rows = []
        for second in sorted(buckets):
            figures = self.figures(buckets[second])
            rows.append(
                {
                    "at": second,
                    "requests": figures.requests,
                    "failures": figures.failures,
                    "p50_ms": figures.p50_ms,
                    "p95_ms": figures.p95_ms,
                    "p99_ms": figures.p99_ms,
                }
            )
        return rows

    def slices(self) -> list[dict[str, Any]]:
        """Return the figures of both endpoints in each slice of time in which both were sent requests.

        A slice takes a second, or as many as SLICE_REQUESTS to either side need.
        """
        if not self.starts:
            return []
        rate = len(self.starts) / max(max(self.starts) - min(self.starts), 1.0)
        seconds = max(1, math.ceil(2 * SLICE_REQUESTS / rate))
        buckets: dict[int, tuple[list[int], list[int]]] = {}
        for i, at in enumerate(self.starts):
            buckets.setdefault(seconds * math.floor(at / seconds), ([], []))[self.sides[i]].append(i)
        return [
            {
                "at": at,
                "lag_p95_ms": percentile(sorted(self.lags[i] for i in (*ours, *theirs)), 95),
                "candidate": self._brief(ours),
                "baseline": self._brief(theirs),
            }
            for at, (ours, theirs) in sorted(buckets.items())
            if ours and theirs
        ]

    def _brief(self, indices: Sequence[int]) -> dict[str, Any]:
        found = self.figures(indices)
        return {
            "requests": found.requests,
            "failures": found.failures,
            "p50_ms": found.p50_ms,
            "p95_ms": found.p95_ms,
        }

    def result(self, endpoint: str, against: str = "") -> dict[str, Any]:
        """Return the content of result.json. Every phase must be closed."""
        phases = [self.phase_result(phase) for phase in self.phases]
        return {
            "schema": 1,
            "endpoint": endpoint,
            "started": phases[0]["started"] if phases else None,
            "finished": phases[-1]["finished"] if phases else None,
            "phases": phases,
            "seconds": self.seconds(),
            "fleet": self.fleet,
            "first_heard": self.first_heard,
            "identities": {release: dict(heard) for release, heard in self.identities.items()},
            "compared": {"against": against, "slices": self.slices()} if against else None,
        }
