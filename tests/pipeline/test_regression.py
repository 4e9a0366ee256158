"""A candidate is compared with the release before it by a test that keeps its false-alarm rate."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.gates import Verdict
from pipeline.verification.load import LoadResult
from pipeline.verification.regression import (
    FALSE_ALARM,
    WARM_UP,
    Regression,
    binomial_tail,
    bound_rank,
    judge_regression,
    more_failures,
    regression_gate,
    usable,
)

Make = Callable[[int], tuple[float, float]]


def load(
    ratio: Make, slices: int = 20, *, failures: tuple[int, int] = (0, 0), lag: float = 1.0
) -> LoadResult:
    """Return a load whose slices have the candidate's and the baseline's latency by `ratio(slice)`."""
    rows = []
    for at in range(slices + WARM_UP):
        ours, theirs = ratio(at)
        sides = {"candidate": (ours, failures[0]), "baseline": (theirs, failures[1])}
        figures = {
            name: {"requests": 40, "failures": failed, "p50_ms": ms, "p95_ms": 2 * ms}
            for name, (ms, failed) in sides.items()
        }
        rows.append({"at": at, "lag_p95_ms": lag, **figures})
    phase: dict[str, Any] = {"name": "compared", "offered_rps": 80.0, "started": 0.0, "finished": 20.0}
    phase |= {
        "requests": 1600,
        "failures": 0,
        "slow": None,
        "achieved_rps": 80.0,
        "p50_ms": 9.0,
        "p95_ms": 9.0,
    }
    phase |= {"p99_ms": 9.0, "max_ms": 9.0, "generator_cpu_percent": 5.0, "lag_p99_ms": 1.0, "errors": {}}
    document = {"schema": 1, "endpoint": "e", "started": 0.0, "finished": 20.0, "seconds": [], "fleet": []}
    document |= {"first_heard": {}, "identities": {}, "compared": {"against": "b", "slices": rows}}
    return LoadResult.model_validate(document | {"phases": [phase | {"invalid": None}]})


def judged(*loads: LoadResult, allowed: float = 20.0) -> Regression:
    return judge_regression(
        loads, baseline="r0", environment="production", requests_per_second=40.0, allowed_percent=allowed
    )


def noisy(slower: float, seed: int, spread: float = 0.15) -> Make:
    """Latencies around 20 ms, each slice's own bad luck and a heavy tail included."""
    chance = random.Random(seed)

    def pair(_: int) -> tuple[float, float]:
        weather = chance.lognormvariate(0, 0.5)  # hits both alike
        ours, theirs = (20 * weather * chance.lognormvariate(0, spread) for _ in range(2))
        return ours * (1 + slower), theirs

    return pair


def test_the_same_twice_passes() -> None:
    found = judged(load(lambda at: (20.0 + at, 20.0 + at)))

    assert found.verdict is Verdict.PASSED
    assert [each.percent for each in found.differences] == [0, 0]
    assert regression_gate(found).measured == 0


def test_clearly_slower_fails_and_says_by_how_much() -> None:
    found = judged(load(lambda _: (32.0, 20.0)))

    assert found.verdict is Verdict.FAILED
    assert "p50_ms by 60 % or more" in found.reason
    assert "against r0 in production" in regression_gate(found).reason


def test_faster_passes() -> None:
    assert judged(load(lambda _: (10.0, 20.0))).verdict is Verdict.PASSED


def test_too_few_slices_are_inconclusive_and_say_so() -> None:
    found = judged(load(lambda _: (20.0, 20.0), slices=3))

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "only 3 slices" in found.reason


def test_a_second_look_has_the_slices_of_both() -> None:
    first, second = load(noisy(0, 1), slices=8), load(noisy(0, 2), slices=8)

    assert judged(first, second).differences[0].slices == 16
    assert judged(first, second).looks == 2


def test_a_late_generator_passes_nothing_since_both_then_look_alike() -> None:
    late = load(lambda _: (20.0, 20.0), lag=60.0)

    assert judged(late).verdict is Verdict.INCONCLUSIVE
    assert judged(late, load(lambda _: (20.0, 20.0))).verdict is Verdict.PASSED, "the seconds in time count"


def test_slices_with_few_requests_and_the_first_ones_say_nothing() -> None:
    result = load(lambda _: (20.0, 20.0), slices=9)
    assert result.compared is not None
    assert len(usable([result])) == 9


@pytest.mark.parametrize(
    ("failures", "more"), [((0, 0), False), ((0, 5), False), ((1, 0), True), ((1, 1), False), ((3, 1), True)]
)
def test_failing_more_often_is_a_failure_of_its_own(failures: tuple[int, int], more: bool) -> None:
    """20 slices: 1 and 1 are 20 failures on either side."""
    result = load(lambda _: (20.0, 20.0), failures=failures)

    assert more_failures(usable([result])) is more
    assert (judged(result).verdict is Verdict.FAILED) is more


@pytest.mark.parametrize("slices", [5, 8, 12, 20, 40, 200])
@pytest.mark.parametrize("error", [0.1, FALSE_ALARM / 9])
def test_the_bound_is_the_highest_rank_that_keeps_the_error(slices: int, error: float) -> None:
    rank = bound_rank(slices, error)

    if rank is None:
        assert binomial_tail(0, slices) > error
    else:
        assert binomial_tail(rank - 1, slices) <= error < binomial_tail(rank, slices)


@pytest.mark.parametrize(("slower", "most_alarms"), [(0.0, 0), (0.2, 8)])
def test_false_alarms_are_as_rare_as_promised(slower: float, most_alarms: int) -> None:
    """400 comparisons by seeds: none slower, and all exactly as slow as is allowed, the worst case of 1 %."""
    alarms = sum(judged(load(noisy(slower, seed))).verdict is Verdict.FAILED for seed in range(400))

    assert alarms <= most_alarms


def test_a_candidate_twice_as_slow_is_mostly_caught_in_noise() -> None:
    caught = sum(judged(load(noisy(1.0, seed))).verdict is Verdict.FAILED for seed in range(100))

    assert caught >= 90
