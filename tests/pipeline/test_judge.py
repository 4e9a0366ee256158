"""The judge of a bake: whom it calls worse, how often it errs over all its looks, and what it foresees."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from pipeline.deployment.judge import sequential_test
from pipeline.deployment.judge.judge import (
    ALPHA,
    FAILURES,
    FALSE_ALARM,
    FleetVerdict,
    Judge,
    planned_slowdown_percent,
)
from pipeline.deployment.judge.latency import WARM_UP_SECONDS, TimedAnswer, stalls_joined
from pipeline.deployment.judge.power import POWER, Samples, smallest_failure_percent
from pipeline.deployment.judge.sequential_test import Block, SequentialTest, hypergeometric
from tests.pipeline.judge_simulation import Bake, count_worse, foreseen_percent, verdict_of
from tests.pipeline.loaded_fleets import bake

ALIKE = Block(0, 0, 0, 0)
NOBODY_FAILED = Block(500, 1000, 0, 0)


def answers(candidate: Sequence[float], baseline: Sequence[float]) -> list[TimedAnswer]:
    """Return answers of both fleets in turn, one second apart."""
    pairs = itertools.zip_longest(candidate, baseline)
    flat = [(side, seconds) for pair in pairs for side, seconds in zip((True, False), pair, strict=True)]
    kept = [(side, seconds) for side, seconds in flat if seconds is not None]
    return [TimedAnswer(float(n), seconds, side, f"{side}") for n, (side, seconds) in enumerate(kept)]


def judge_at_once(
    given: Sequence[TimedAnswer], requests: Block = NOBODY_FAILED, margin: float = 25.0
) -> Judge:
    """Judge one bake in one look; every instance is warm."""
    judge = Judge(margin)
    judge.saw_before([replace(each, sent_at=-60.0) for each in given])
    judge.before = [each.seconds for each in given if not each.is_candidate]
    judge.look(given, requests, 1.0)
    return judge


def test_seven_of_ten_points_at_a_hundred_against_one_are_worse() -> None:
    """A judge that compares means by their deviation passes this, because the deviation grows with the mean."""
    judge = judge_at_once(answers([100.0] * 7 + [1.0] * 3, [1.0] * 10))

    assert judge.judgement().verdict is FleetVerdict.WORSE
    assert "7 of 7 answers in the slowest half are the new fleet's after a margin of 25 %" in (
        judge.judgement().reason
    )


def test_one_failed_request_is_no_verdict() -> None:
    judge = judge_at_once(answers([1.0] * 500, [1.0] * 500), Block(500, 1000, 1, 1))

    assert judge.judgement().verdict is FleetVerdict.NOT_WORSE


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [
    (20, 0, FleetVerdict.WORSE), (10, 10, FleetVerdict.NOT_WORSE), (500, 500, FleetVerdict.NOT_WORSE),
    (0, 500, FleetVerdict.NOT_WORSE), (500, 0, FleetVerdict.WORSE),
])  # fmt: skip
def test_failures_are_judged_by_whose_they_are(ours: int, theirs: int, verdict: FleetVerdict) -> None:
    judge = judge_at_once(answers([1.0] * 500, [1.0] * 500), Block(500, 1000, ours, ours + theirs))

    assert judge.judgement().verdict is verdict


def test_failures_follow_the_share_of_the_traffic() -> None:
    """Ten failures of a candidate with a tenth of the traffic weigh more than ten of one with nine tenths."""
    small, large = SequentialTest(ALPHA), SequentialTest(ALPHA)

    assert small.look(Block(100, 1000, 10, 12), 1.0).is_refuted
    assert not large.look(Block(900, 1000, 10, 12), 1.0).is_refuted


@pytest.mark.parametrize(("times", "verdict"), [
    (1.0, FleetVerdict.NOT_WORSE), (1.24, FleetVerdict.NOT_WORSE), (1.27, FleetVerdict.WORSE), (10.0, FleetVerdict.WORSE),
])  # fmt: skip
def test_slower_by_less_than_the_margin_is_no_fault(times: float, verdict: FleetVerdict) -> None:
    judge = judge_at_once(answers([0.02 * times] * 200, [0.02] * 200))

    assert judge.judgement().verdict is verdict


@pytest.mark.parametrize(
    ("candidate", "baseline", "requests", "said"),
    [
        (0, 400, NOBODY_FAILED, "0 answers of the new fleet and 400 of the old one find no slowdown"),
        (400, 0, NOBODY_FAILED, "400 answers of the new fleet and 0 of the old one find no slowdown"),
        (2, 2, NOBODY_FAILED, "find no slowdown"),
        (400, 400, ALIKE, "CloudWatch counts 0 requests to the new fleet of 0"),
    ],
)
def test_too_little_evidence_is_inconclusive(
    candidate: int, baseline: int, requests: Block, said: str
) -> None:
    found = judge_at_once(answers([0.02] * candidate, [0.02] * baseline), requests).judgement()

    assert found.verdict is FleetVerdict.INCONCLUSIVE
    assert said in found.reason


def test_a_bake_that_may_miss_two_margins_is_inconclusive() -> None:
    assert verdict_of(Bake(200), seed=1) is FleetVerdict.INCONCLUSIVE
    assert verdict_of(Bake(2000), seed=1) is FleetVerdict.NOT_WORSE


def test_the_first_seconds_of_an_instance_are_judged_apart() -> None:
    """Files are cold: the first answers say nothing about the release."""
    given = answers([0.02] * 200, [0.02] * 200)
    cold = [TimedAnswer(WARM_UP_SECONDS * n / 100, 5.0, True, "new") for n in range(100)]
    judge = Judge(25.0)
    judge.saw_before([replace(each, sent_at=-60.0) for each in given])
    judge.look([*given, *cold], NOBODY_FAILED, 1.0)
    found = judge.judgement()

    assert found.verdict is FleetVerdict.NOT_WORSE
    assert (found.candidate_answers, found.warm_up_answers, found.warm_up_slowest_ms) == (200, 100, 5000.0)


def test_an_instance_that_stays_slow_after_its_first_seconds_is_judged() -> None:
    given = answers([5.0] * 200, [0.02] * 200)
    judge = Judge(25.0)
    judge.look(given, NOBODY_FAILED, 1.0)

    assert judge.judgement().verdict is FleetVerdict.WORSE


def test_one_pause_of_an_instance_counts_once() -> None:
    """Twenty requests that wait for the same pause are one event, not twenty."""
    paused = [TimedAnswer(n / 10, 1.0 if 30 <= n < 50 else 0.02, n % 2 == 0, f"{n % 2}") for n in range(100)]
    kept = stalls_joined(paused, [each.seconds for each in paused], 0.5)

    assert [paused[n].sent_at for n in kept if paused[n].seconds > 0.5] == [3.0, 3.1]
    assert len(kept) == 82


@pytest.mark.parametrize(
    ("candidate", "requests", "marked"), [(5, 10, 4), (3, 20, 7), (9, 10, 9), (0, 5, 2), (5, 5, 2)]
)
def test_the_share_of_the_marked_requests_is_hypergeometric(
    candidate: int, requests: int, marked: int
) -> None:
    found = hypergeometric(candidate, requests, marked)
    wanted = [
        math.comb(candidate, n) * math.comb(requests - candidate, marked - n) / math.comb(requests, marked)
        for n in range(found.first, found.first + len(found.probabilities))
    ]

    assert found.probabilities == pytest.approx(wanted)
    assert sum(wanted) == pytest.approx(1.0)


def paths(blocks: Sequence[Block]) -> Iterator[tuple[float, list[Block]]]:
    """Yield every course that these blocks can take if both fleets are alike, with its probability."""
    laws = [hypergeometric(each.candidate, each.requests, each.marked) for each in blocks]
    for counts in itertools.product(*(range(len(law.probabilities)) for law in laws)):
        probability = math.prod(law.probabilities[n] for law, n in zip(laws, counts, strict=True))
        yield (
            probability,
            [
                replace(block, candidate_marked=law.first + n)
                for block, law, n in zip(blocks, laws, counts, strict=True)
            ],
        )


BLOCKS = (Block(6, 12, 0, 6), Block(10, 12, 0, 4), Block(5, 15, 0, 7), Block(8, 16, 0, 8))
Elapsed = Callable[[int], float]


def probability_of_refutation(alpha: float, blocks: Sequence[Block]) -> float:
    """Add up the probabilities of all courses that are refuted at any look."""
    total = 0.0
    for probability, course in paths(blocks):
        test = SequentialTest(alpha)
        for n, block in enumerate(course):
            test = test.look(block, (n + 1) / len(course))
        total += probability * test.is_refuted
    return total


@pytest.mark.parametrize("alpha", [0.0025, 0.01, 0.05, 0.2])
def test_the_error_rate_holds_over_all_looks(alpha: float) -> None:
    """By enumeration: every course of four looks, with its exact probability."""
    found = probability_of_refutation(alpha, BLOCKS)

    assert 0.2 * alpha < found <= alpha


def test_without_spending_the_error_rate_would_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enumeration sees the fault that the spending prevents: the whole rate at every look."""
    monkeypatch.setattr(sequential_test, "spendable", lambda alpha, _: 10 * alpha)

    assert probability_of_refutation(0.05, BLOCKS) > 0.05


def test_a_run_that_takes_over_spends_only_what_is_left() -> None:
    """An earlier run may have spent the part that belongs to the bake so far."""
    whole, rest, none = Judge(25.0), Judge(25.0), Judge(25.0)
    rest.begin_at(0.9)
    none.begin_at(1.0)
    block = Block(500, 1000, 9, 9)

    assert whole.tests[FAILURES].look(block, 1.0).is_refuted
    assert not rest.tests[FAILURES].look(block, 1.0).is_refuted
    assert none.judgement().finds_failures_percent is None
    assert not none.tests[FAILURES].look(Block(500, 1000, 20, 20), 1.0).is_refuted


def test_the_bake_is_said_before_it_begins() -> None:
    latencies = [0.02 * (1 + n / 100) for n in range(100)]
    long, short = (planned_slowdown_percent(latencies, n, 0.5, 25.0) for n in (4800, 240))

    assert long is not None
    assert short is not None
    assert 25 < long < short
    assert planned_slowdown_percent(latencies, 10, 0.5, 25.0) is None
    assert planned_slowdown_percent([], 4800, 0.5, 25.0) is None


def at_most_by_chance(bakes: int, rate: float) -> int:
    """Return the count that is exceeded once in 10,000 times if each bake errs with this rate."""
    below, n = 0.0, -1
    while below < 0.9999:
        n += 1
        below += math.comb(bakes, n) * rate**n * (1 - rate) ** (bakes - n)
    return n


def test_a_fleet_at_the_margin_is_called_worse_in_one_bake_of_a_hundred() -> None:
    """The seeded point of the curves: 480 requests, both fleets fail as often."""
    bake = Bake(480, slower_percent=25.0, candidate_fails_percent=2.0, baseline_fails_percent=2.0)

    assert count_worse(bake, 200, seed=7) <= at_most_by_chance(200, FALSE_ALARM)


def test_the_slowdown_that_is_foreseen_is_found() -> None:
    foreseen = foreseen_percent(Bake(480), seed=7)
    assert foreseen is not None
    missed = 100 - count_worse(Bake(480, slower_percent=foreseen), 100, seed=8)

    assert missed <= at_most_by_chance(100, 1 - POWER)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("stall_every_seconds", [0.0, 60.0], ids=["steady", "stalls"])
@pytest.mark.parametrize("sigma", [0.2, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("requests", [200, 1000, 4800])
def test_false_alarms_over_a_bake(
    requests: int,
    share: float,
    sigma: float,
    stall_every_seconds: float,
    record_property: Callable[..., None],
) -> None:
    """At the margin in steady fleets; where instances pause for a second each minute, of a fleet that is alike."""
    slower = 0.0 if stall_every_seconds else 25.0
    bake = Bake(
        requests, slower, share=share, sigma=sigma, stall_every_seconds=stall_every_seconds,
        candidate_fails_percent=1.0, baseline_fails_percent=1.0,
    )  # fmt: skip
    worse = count_worse(bake, 500, seed=requests)
    record_property("worse", worse)

    assert worse <= at_most_by_chance(500, FALSE_ALARM)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("requests", [1000, 2000, 4800])
def test_power_over_a_bake(
    requests: int, share: float, sigma: float, record_property: Callable[..., None]
) -> None:
    bake = Bake(requests, share=share, sigma=sigma)
    foreseen = foreseen_percent(bake, seed=requests)
    assert foreseen is not None
    found = count_worse(replace(bake, slower_percent=foreseen), 300, seed=requests)
    record_property("found", f"{found} of 300 at {foreseen} %")

    assert 300 - found <= at_most_by_chance(300, 1 - POWER)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("requests", [1000, 4800])
def test_failures_that_are_foreseen_are_found(requests: int, share: float) -> None:
    samples = Samples(int(requests * share), int(requests * (1 - share)))
    foreseen = smallest_failure_percent(samples, ALPHA)
    assert foreseen is not None
    found = count_worse(Bake(requests, share=share, candidate_fails_percent=foreseen), 200, seed=requests)

    assert 200 - found <= at_most_by_chance(200, 1 - POWER)


def test_a_verdict_of_a_look_stays_when_later_answers_are_quick() -> None:
    """The veto is out by then."""
    judge = judge_at_once(answers([0.2] * 200, [0.02] * 200))
    judge.look(answers([0.02] * 2000, [0.02] * 200), NOBODY_FAILED, 1.0)

    assert judge.judgement().verdict is FleetVerdict.WORSE


BUSY = 0.6  # of each instance before the bake, which the canary's keeps; the old ones have half of that beside it


def worse_under_load(slower_percent: float, bakes: int, *, is_seen_before: bool = True) -> int:
    return sum(
        bake(BUSY, slower_percent, seed, is_seen_before=is_seen_before).is_worse for seed in range(bakes)
    )


def test_a_canary_is_not_worse_for_having_the_load_that_the_old_instances_had() -> None:
    """Its queue is longer than that of the old instances beside it, which are half idle now."""
    without = worse_under_load(0.0, 20, is_seen_before=False)
    worse = worse_under_load(0.0, 40)

    assert without > 10
    assert worse <= at_most_by_chance(40, FALSE_ALARM)


def test_a_slower_canary_is_found_under_load() -> None:
    assert worse_under_load(100.0, 20) == 20


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("busy", [0.2, 0.4, 0.5, 0.6])
def test_false_alarms_under_load(busy: float, record_property: Callable[..., None]) -> None:
    worse = sum(bake(busy, 0.0, seed).is_worse for seed in range(300))
    record_property("worse", worse)

    assert worse <= at_most_by_chance(300, FALSE_ALARM)
