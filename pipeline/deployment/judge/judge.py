"""Decide whether the new fleet is worse than the old one, from what both did while they served side by side. Pure.

Four exact tests share FALSE_ALARM: whether too many of the slowest half, tenth and hundredth of the deployment's own
answers, and too many of all failed requests, are the candidate's. Each spends its part over the looks of the bake.

While a canary bakes, each of its instances has the load that an instance of the old fleet had before, and the old ones
have less. So the candidate must also be slower than the old fleet was before the bake: that can only acquit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.deployment.judge.latency import (
    SLOWEST,
    TimedAnswer,
    blocks_of,
    exceeded_by,
    warmed_up,
)
from pipeline.deployment.judge.power import (
    POWER,
    Samples,
    smallest_failure_percent,
    smallest_slowdown_percent,
)
from pipeline.deployment.judge.sequential_test import Block, SequentialTest, spendable
from pipeline.model import Model

FALSE_ALARM = 0.01  # of a whole bake: all tests and all looks together
LOOKS = 10  # planned, evenly over the bake
FAILURES = "failures"
TESTS = (*SLOWEST, FAILURES)
ALPHA = FALSE_ALARM / len(TESTS)
ENOUGH_BEFORE = 50  # answers of the old fleet before the bake: its latency under the full load is known
BEFORE_DEVIATIONS = 2.33  # of the share that exceeds one of its latencies: 99 % of samples deviate less
ENOUGH_MARGINS = 2.0  # a bake that may miss a slowdown of more margins than this says little


class FleetVerdict(StrEnum):
    """The verdict on the new fleet."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    INCONCLUSIVE = "inconclusive"


class Judgement(Model):
    """The verdict with its figures. Percents: slowdowns of all answers, and failed requests.

    `finds_slower_percent`, `finds_failures_percent`: the least that this bake finds with 90 % power; None: nothing.
    """

    verdict: FleetVerdict
    reason: str
    looks: int
    candidate_answers: int
    baseline_answers: int
    warm_up_answers: int  # of instances in their first seconds, judged apart
    warm_up_slowest_ms: float | None  # of the candidate's
    margin_percent: float
    finds_slower_percent: float | None
    finds_failures_percent: float | None


@dataclass
class Judge:
    """Judges one bake, look by look."""

    margin_percent: float
    looks: int = 0
    elapsed: float = 0.0  # part of the bake, 0 to 1
    missed: float = 0.0  # part of the bake that an earlier run may have judged
    tests: dict[str, SequentialTest] = field(
        default_factory=lambda: {name: SequentialTest(ALPHA) for name in TESTS}
    )
    warm: list[TimedAnswer] = field(default_factory=list)
    warm_up: list[TimedAnswer] = field(default_factory=list)
    before: list[float] = field(default_factory=list)  # the old fleet's latencies in seconds, before the bake
    worse_by: tuple[str, ...] = ()  # the tests that have called the candidate worse at any look
    _first_seen: dict[str, float] = field(default_factory=dict)

    def begin_at(self, elapsed: float) -> None:
        """Begin where an earlier run may have stopped: it may have spent what belongs to the bake until then."""
        self.missed = self.elapsed = elapsed
        self.tests = {name: SequentialTest(ALPHA, spendable(ALPHA, elapsed)) for name in TESTS}

    @property
    def alpha_left(self) -> float:
        """Return what this run may spend, of one test's error rate."""
        return ALPHA - spendable(ALPHA, self.missed)

    @property
    def looks_planned(self) -> int:
        """Return how many of the planned looks are over."""
        return int(self.elapsed * LOOKS + 1e-9)

    @property
    def is_worse(self) -> bool:
        return bool(self.worse_by)

    def _is_worse_by(self, name: str) -> bool:
        """Say whether this test finds the candidate worse, and by latencies that the old fleet's load does not explain."""
        if not self.tests[name].is_refuted:
            return False
        if name == FAILURES or len(self.before) < ENOUGH_BEFORE:
            return True
        ours = [each.seconds for each in self.warm if each.is_candidate]
        share = SLOWEST[name]
        doubt = BEFORE_DEVIATIONS * math.sqrt(share * (1 - share) / len(self.before))
        forgiven = 1 + self.margin_percent / 100
        return exceeded_by(share, ours) > forgiven * exceeded_by(share - doubt, self.before)

    def look(self, answers: Sequence[TimedAnswer], requests: Block, elapsed: float) -> None:
        """Judge what came since the look before. `requests`: everybody's, marked where they failed.

        `elapsed`: the part of the bake, 0 to 1, that is over; it must not depend on the answers.
        """
        self.looks, self.elapsed = self.looks + 1, elapsed
        warm, apart = warmed_up(answers, self._first_seen)
        self.warm += warm
        self.warm_up += apart
        blocks = blocks_of(warm, self.margin_percent) | {FAILURES: requests}
        self.tests = {name: test.look(blocks[name], elapsed) for name, test in self.tests.items()}
        self.worse_by = tuple(name for name in TESTS if name in self.worse_by or self._is_worse_by(name))

    def saw_before(self, answers: Sequence[TimedAnswer]) -> None:
        """Note the instances that served before the bake, which are warm, and their latencies."""
        warmed_up(answers, self._first_seen)
        self.before += [each.seconds for each in answers]

    def judgement(self) -> Judgement:
        """Return the verdict on the looks so far; the last one's holds for the bake."""
        candidate = sum(each.is_candidate for each in self.warm)
        samples = Samples(candidate, len(self.warm) - candidate)
        baseline = [each.seconds for each in self.warm if not each.is_candidate]
        slower = smallest_slowdown_percent(baseline, samples, self.margin_percent, self.alpha_left)
        sent = self.tests[FAILURES].total
        failures = smallest_failure_percent(
            Samples(sent.candidate, sent.requests - sent.candidate), self.alpha_left
        )
        verdict, reason = self._decide(samples, slower, failures)
        first = [1000 * each.seconds for each in self.warm_up if each.is_candidate]
        return Judgement(
            verdict=verdict,
            reason=reason,
            looks=self.looks,
            candidate_answers=samples.candidate,
            baseline_answers=samples.baseline,
            warm_up_answers=len(self.warm_up),
            warm_up_slowest_ms=round(max(first), 1) if first else None,
            margin_percent=self.margin_percent,
            finds_slower_percent=slower,
            finds_failures_percent=failures,
        )

    def _decide(
        self, samples: Samples, slower: float | None, failures: float | None
    ) -> tuple[FleetVerdict, str]:
        if self.is_worse:
            return FleetVerdict.WORSE, "; ".join(self._finding(name) for name in self.worse_by)
        evidence = f"{samples.candidate} answers of the new fleet and {samples.baseline} of the old one"
        if failures is None:
            counts = self.tests[FAILURES].total
            return FleetVerdict.INCONCLUSIVE, (
                f"{evidence}; CloudWatch counts {counts.candidate} requests to the new fleet of {counts.requests}"
            )
        if slower is None or slower > ENOUGH_MARGINS * self.margin_percent:
            return FleetVerdict.INCONCLUSIVE, (
                f"{evidence} {reach(slower)}; {ENOUGH_MARGINS * self.margin_percent:g} % or less is enough"
            )
        return FleetVerdict.NOT_WORSE, (
            f"{evidence} {reach(slower)}, and all requests a failure rate of {failures:g} %: none was found"
        )

    def _finding(self, name: str) -> str:
        total, bound = self.tests[name].total, self.tests[name].bound
        share = 100 * total.candidate / total.requests
        what = "failed requests" if name == FAILURES else f"answers in the slowest {name}"
        margin = "" if name == FAILURES else f" after a margin of {self.margin_percent:g} %"
        return (
            f"{total.candidate_marked} of {total.marked} {what} are the new fleet's{margin}; it served {share:.0f} % "
            f"of the requests, and fewer than {bound} would be chance"
        )


def reach(slower_percent: float | None) -> str:
    """Say which slowdown is found."""
    if slower_percent is None:
        return "find no slowdown reliably"
    return f"find a slowdown of {slower_percent:.0f} % with {100 * POWER:.0f} % power"


def planned_slowdown_percent(
    latencies: Sequence[float], requests: float, share: float, margin_percent: float
) -> float | None:
    """Return the smallest slowdown that a bake is going to find with POWER; None: none.

    `latencies`: of the old fleet before the bake. `requests`: of the deployment during the bake. `share`: of the
    traffic that the new fleet gets, 0 to 1.
    """
    samples = Samples(int(requests * share), int(requests * (1 - share)))
    return smallest_slowdown_percent(latencies, samples, margin_percent, ALPHA)
