"""Judge from slices of time whether the candidate is slower, or fails more, than the release before it. Pure.

Both got the same load at the same time, in alternating requests. In each slice (a second or more) the
candidate's median and 95th percentile are divided by the other's. What is judged is the median of these ratios, by
the exact sign test: order statistics bound it, whatever the latencies' distribution. It assumes that the ratios of the
slices are independent and have one median; requests within a slice need not be. Where the load leaves queues that outlast a
slice, neighbours are not independent, and the bounds are narrower than they should be.

FAILED: slower than allowed. A candidate that is exactly as slow as allowed FAILED in at most FALSE_ALARM of all
comparisons, over both percentiles, the failures and all looks together (Bonferroni); one that is not slower at all,
far less often. PASSED: not slower than allowed, each percentile with PASS_CONFIDENCE. Else INCONCLUSIVE.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from pipeline.gates import Gate, Verdict
from pipeline.model import Model
from pipeline.verification.load import LoadResult, Side, Slice

FALSE_ALARM = 0.01
PASS_CONFIDENCE = 0.9
LOOKS = 3  # an inconclusive comparison is extended, twice
TESTS = 3  # p50, p95, failures
WARM_UP = 2  # slices at the beginning: connections are made
ENOUGH = 10  # requests to either side; slices with fewer are not used
LATE_MS = 25.0  # slices with a later generator are not used: both would look slow


class Difference(Model):
    """The slowdown of the candidate in percent of the baseline: the median of the slices, and its bounds.

    `at_least` has the confidence for FAILED, `at_most` the one for PASSED; None: too few slices.
    """

    metric: Literal["p50_ms", "p95_ms"]
    slices: int
    percent: float | None
    at_least: float | None
    at_most: float | None


class Regression(Model):
    """The comparison of the candidate with the release in the next environment."""

    baseline: str  # release
    environment: str  # where that is live
    requests_per_second: float  # to each of the two
    looks: int
    allowed_percent: float
    differences: tuple[Difference, ...]
    candidate_failures: int
    baseline_failures: int
    verdict: Verdict
    reason: str


def binomial_tail(successes: int, trials: int, share: float = 0.5) -> float:
    """Return the probability of at most this many successes (exact binomial)."""
    return math.fsum(
        math.comb(trials, n) * share**n * (1 - share) ** (trials - n) for n in range(successes + 1)
    )


def bound_rank(slices: int, error: float) -> int | None:
    """Return which of the sorted ratios, counted from 1, bounds their median on one side; None: too few of them.

    The median lies below it with a probability of at most `error`.
    """
    rank = 0
    while rank < slices and binomial_tail(rank, slices) <= error:
        rank += 1
    return rank or None


def usable(results: Sequence[LoadResult]) -> tuple[Slice, ...]:
    """Return the usable slices: after the warm-up, with enough requests and a punctual generator."""
    return tuple(
        each
        for result in results
        if result.compared is not None
        for each in result.compared.slices[WARM_UP:]
        if min(each.candidate.requests, each.baseline.requests) >= ENOUGH and each.lag_p95_ms <= LATE_MS
    )


def compare(slices: Sequence[Slice], metric: Literal["p50_ms", "p95_ms"]) -> Difference:
    """Bound the median of the slices' ratios."""
    value: Callable[[Side], float | None] = lambda side: getattr(side, metric)  # noqa: E731
    pairs = [(value(each.candidate), value(each.baseline)) for each in slices]
    ratios = sorted(ours / theirs for ours, theirs in pairs if ours is not None and theirs)
    lower = bound_rank(len(ratios), FALSE_ALARM / TESTS / LOOKS)
    upper = bound_rank(len(ratios), 1 - PASS_CONFIDENCE)
    middle = len(ratios) // 2
    return Difference(
        metric=metric,
        slices=len(ratios),
        percent=_percent((ratios[middle] + ratios[~middle]) / 2) if ratios else None,
        at_least=_percent(ratios[lower - 1]) if lower else None,
        at_most=_percent(ratios[-upper]) if upper else None,
    )


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 2)


def more_failures(slices: Sequence[Slice]) -> bool:
    """Say whether the candidate failed more often, by the exact binomial test of its share of all failures."""
    ours, theirs = (sum(side.failures for side in sides) for sides in _sides(slices))
    sent = [sum(side.requests for side in sides) for sides in _sides(slices)]
    if ours == 0:
        return False
    share = sent[0] / sum(sent)
    return 1 - binomial_tail(ours - 1, ours + theirs, share) <= FALSE_ALARM / TESTS / LOOKS


def _sides(slices: Sequence[Slice]) -> tuple[list[Side], list[Side]]:
    return [each.candidate for each in slices], [each.baseline for each in slices]


def judge_differences(
    differences: Sequence[Difference], allowed_percent: float, *, fails_more: bool
) -> tuple[Verdict, str]:
    """Return the verdict with its reason."""
    if fails_more:
        return Verdict.FAILED, "it fails more often than the release before it"
    slower = [each for each in differences if each.at_least is not None and each.at_least > allowed_percent]
    if slower:
        listed = ", ".join(f"{each.metric} by {each.at_least:g} % or more" for each in slower)
        return Verdict.FAILED, f"slower than the release before it: {listed}"
    unsure = [each for each in differences if each.at_most is None or each.at_most > allowed_percent]
    if unsure:
        listed = ", ".join(
            f"{each.metric} may be {each.at_most:g} % slower ({each.slices} slices)"
            if each.at_most is not None
            else f"{each.metric} has only {each.slices} slices"
            for each in unsure
        )
        return Verdict.INCONCLUSIVE, f"{listed}: compare for longer, on quieter machines"
    listed = ", ".join(f"{each.metric} {each.percent:+g} %" for each in differences)
    return Verdict.PASSED, f"not slower than allowed with {100 * PASS_CONFIDENCE:g} % confidence: {listed}"


def judge_regression(
    results: Sequence[LoadResult],
    *,
    baseline: str,
    environment: str,
    requests_per_second: float,
    allowed_percent: float,
) -> Regression:
    """Compare by all loads so far, one for each look."""
    slices = usable(results)
    differences = (compare(slices, "p50_ms"), compare(slices, "p95_ms"))
    verdict, reason = judge_differences(differences, allowed_percent, fails_more=more_failures(slices))
    ours, theirs = (sum(side.failures for side in sides) for sides in _sides(slices))
    return Regression(
        baseline=baseline,
        environment=environment,
        requests_per_second=requests_per_second,
        looks=len(results),
        allowed_percent=allowed_percent,
        differences=differences,
        candidate_failures=ours,
        baseline_failures=theirs,
        verdict=verdict,
        reason=reason,
    )


def regression_gate(found: Regression) -> Gate:
    """Return the comparison as a gate: by the percentile with the larger slowdown."""
    known = [each.percent for each in found.differences if each.percent is not None]
    return Gate(
        name="regression",
        metric="slower_percent",
        limit=found.allowed_percent,
        measured=max(known, default=None),
        unit="%",
        verdict=found.verdict,
        reason=f"against {found.baseline} in {found.environment}: {found.reason}",
    )


def no_regression_gate(why: str, allowed_percent: float) -> Gate:
    """Return the gate of a comparison that could not be made."""
    return Gate(
        name="regression",
        metric="slower_percent",
        limit=allowed_percent,
        measured=None,
        unit="%",
        verdict=Verdict.INCONCLUSIVE,
        reason=f"not measured: {why}",
    )
