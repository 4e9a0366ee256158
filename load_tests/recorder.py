"""Every request of a run, compactly, and the content of result.json, made from them when the run ends."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from load_tests.figures import Figures, figures_of, percentile
from load_tests.saturation import invalid_reason

NO_ERROR = 0
MAX_ERROR_KINDS = 1000
SLICE_REQUESTS = 20  # to either of two compared endpoints, so that a slice's percentiles mean something


@dataclass
class PhaseRecord:
    """One phase as it ran: wall-clock start and end, and the generator's CPU seconds at both."""

    name: str
    offered_rps: float
    started: float
    cpu_at_start: float
    finished: float | None = None
    cpu_at_end: float = 0.0
    incomplete: str | None = None  # the reason why records are missing, which makes the phase invalid


@dataclass
class Recorder:
    """All requests of a run, in 19 bytes each.

    A request has an intended start (epoch s), its duration from then on (ms), the generator's own lateness (ms), the
    index of its error sentence, and which of two compared endpoints it went to.
    """

    starts: "array[float]" = field(default_factory=lambda: array("d"))
    durations: "array[float]" = field(default_factory=lambda: array("f"))
    lags: "array[float]" = field(default_factory=lambda: array("f"))
    errors: "array[int]" = field(default_factory=lambda: array("H"))
    sides: "array[int]" = field(default_factory=lambda: array("B"))
    sentences: list[str] = field(default_factory=lambda: [""])
    phases: list[PhaseRecord] = field(default_factory=list)
    fleet: list[dict[str, Any]] = field(default_factory=list)
    identities: dict[str, Counter[str]] = field(default_factory=dict)  # release → instance → answers
    first_answers: dict[str, float] = field(default_factory=dict)  # instance → epoch s
    slo_ms: float | None = None  # a successful answer that took longer is counted as slow

    def record(
        self, started: float, milliseconds: float, error: str | None, *, lag_ms: float = 0.0, side: int = 0
    ) -> None:
        """Keep one request that was due at `started` (epoch s) and ended `milliseconds` later.

        `error` is a sentence without variable parts; `lag_ms`: how much later the generator really began;
        `side` 1: it went to the endpoint that this one is compared with.
        """
        self.sides.append(side)
        self.starts.append(started)
        self.durations.append(milliseconds)
        self.lags.append(lag_ms)
        self.errors.append(NO_ERROR if error is None else self._error_index(error))

    def _error_index(self, sentence: str) -> int:
        if sentence in self.sentences:
            return self.sentences.index(sentence)
        if len(self.sentences) >= MAX_ERROR_KINDS:
            sentence = "further kinds of error"
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return self.sentences.index(sentence)

    def count_answer(self, release: str, instance: str, *, at: float) -> None:
        """Count one answer of this instance of this release, received at `at` (epoch s)."""
        self.first_answers.setdefault(instance, at)
        self.identities.setdefault(release, Counter())[instance] += 1

    def take_identities(self) -> dict[str, dict[str, int]]:
        """Return the answers by release and instance since the last call, and start again from zero."""
        taken = {release: dict(answers) for release, answers in self.identities.items()}
        self.identities = {}
        return taken

    def join(self, records: Mapping[str, Any]) -> None:
        """Add the requests of another recorder (`generators.new_records`)."""
        for name in ("starts", "durations", "lags", "sides"):
            getattr(self, name).frombytes(records[name])
        indices = array("H")
        indices.frombytes(records["errors"])
        known = [NO_ERROR, *(self._error_index(sentence) for sentence in records["sentences"][1:])]
        self.errors.extend(known[index] for index in indices)
        for instance, at in records["first_answers"].items():
            self.first_answers[instance] = min(at, self.first_answers.get(instance, at))
        for release, answers in records["identities"].items():
            self.identities.setdefault(release, Counter()).update(answers)

    def begin_phase(self, name: str, offered_rps: float, *, now: float, cpu_seconds: float) -> None:
        """Open a phase; requests that start from now on belong to it."""
        self.phases.append(PhaseRecord(name, offered_rps, now, cpu_seconds))

    def end_phase(self, *, now: float, cpu_seconds: float) -> None:
        """Close the running phase; closing twice changes nothing."""
        if self.phases and self.phases[-1].finished is None:
            self.phases[-1].finished, self.phases[-1].cpu_at_end = now, cpu_seconds

    def _requests_of(self, phase: PhaseRecord) -> list[int]:
        """Return the indices of the requests that began in this phase, before the next one."""
        position = next(i for i, each in enumerate(self.phases) if each is phase)
        end = self.phases[position + 1].started if position + 1 < len(self.phases) else math.inf
        return [i for i, at in enumerate(self.starts) if phase.started <= at < end]

    def _answered_during(self, phase: PhaseRecord) -> int:
        """Count the answers, good or bad, received while the phase ran: a growing queue is no service."""
        assert phase.finished is not None, f"phase {phase.name} still runs"
        ends = (at + ms / 1000 for at, ms in zip(self.starts, self.durations, strict=True))
        return sum(phase.started <= end < phase.finished for end in ends)

    def _count_slow(self, indices: Iterable[int]) -> int | None:
        """Count the successful answers over the SLO; None without an SLO."""
        if self.slo_ms is None:
            return None
        return sum(self.errors[i] == NO_ERROR and self.durations[i] > self.slo_ms for i in indices)

    def figures(self, indices: Sequence[int]) -> Figures:
        """Sum up the requests with these indices."""
        return figures_of(len(indices), [self.durations[i] for i in indices if self.errors[i] == NO_ERROR])

    def phase_result(self, phase: PhaseRecord) -> dict[str, Any]:
        """Sum up one closed phase; `generator_cpu_percent` is of one core, which is all Locust can use."""
        assert phase.finished is not None, f"phase {phase.name} still runs"
        seconds = max(phase.finished - phase.started, 1e-9)
        indices = self._requests_of(phase)
        figures = self.figures(indices)
        cpu_percent = 100 * (phase.cpu_at_end - phase.cpu_at_start) / seconds
        lag = percentile(sorted(self.lags[i] for i in indices), 99)
        errors = Counter(self.sentences[self.errors[i]] for i in indices if self.errors[i] != NO_ERROR)
        return {
            "name": phase.name,
            "offered_rps": phase.offered_rps,
            "started": phase.started,
            "finished": phase.finished,
            "requests": figures.requests,
            "failures": figures.failures,
            "slow": self._count_slow(indices),
            "achieved_rps": self._answered_during(phase) / seconds,
            "p50_ms": figures.p50_ms,
            "p95_ms": figures.p95_ms,
            "p99_ms": figures.p99_ms,
            "max_ms": figures.max_ms,
            "generator_cpu_percent": cpu_percent,
            "lag_p99_ms": lag,
            "invalid": phase.incomplete or invalid_reason(cpu_percent, lag),
            "errors": dict(errors.most_common()),
        }

    def seconds(self) -> list[dict[str, Any]]:
        """Return one row for each wall-clock second in which a request began."""
        buckets: dict[int, list[int]] = {}
        for i, at in enumerate(self.starts):
            buckets.setdefault(math.floor(at), []).append(i)
        return [
            {"at": at, **self._row(indices, ("p50_ms", "p95_ms", "p99_ms"))}
            for at, indices in sorted(buckets.items())
        ]

    def slices(self) -> list[dict[str, Any]]:
        """Return the figures of both endpoints in each slice of time in which both were sent requests.

        A slice is whole seconds long: one, or as many as it takes to send SLICE_REQUESTS to either side.
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
                "lag_p95_ms": percentile(sorted(self.lags[i] for i in (*candidate, *baseline)), 95),
                "candidate": self._row(candidate, ("p50_ms", "p95_ms")),
                "baseline": self._row(baseline, ("p50_ms", "p95_ms")),
            }
            for at, (candidate, baseline) in sorted(buckets.items())
            if candidate and baseline
        ]

    def _row(self, indices: Sequence[int], latencies: Sequence[str]) -> dict[str, Any]:
        found = self.figures(indices)
        counts = {"requests": found.requests, "failures": found.failures}
        return counts | {name: getattr(found, name) for name in latencies}

    def result(self, endpoint: str, against: str = "", note: str = "") -> dict[str, Any]:
        """Return the content of result.json; `note` is about what was sent. Every phase must be closed."""
        phases = [self.phase_result(phase) for phase in self.phases]
        return {
            "schema": 1,
            "endpoint": endpoint,
            "note": note,
            "started": phases[0]["started"] if phases else None,
            "finished": phases[-1]["finished"] if phases else None,
            "phases": phases,
            "seconds": self.seconds(),
            "fleet": self.fleet,
            "first_answers": self.first_answers,
            "identities": {release: dict(answers) for release, answers in self.identities.items()},
            "compared": {"against": against, "slices": self.slices()} if against else None,
        }
