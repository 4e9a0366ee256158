"""The chances of alarms on shares: against exact small cases, and against simulation with a seed."""

import itertools
import math
import random

import pytest

from pipeline.deployment.share_rule import LEAST_BAD, ShareRule, at_least, deviations_of, m_of_n_chance

RULE = ShareRule(
    promised=0.01, period_seconds=60, datapoints_to_alarm=2, evaluation_periods=3, deviations=2.077
)


@pytest.mark.parametrize(
    ("count", "trials", "share"),
    [(0, 4, 0.3), (1, 4, 0.3), (2, 4, 0.3), (4, 4, 0.3), (5, 4, 0.3), (3, 9, 0.8)],
)
def test_a_tail_is_the_sum_over_every_outcome(count: int, trials: int, share: float) -> None:
    outcomes = itertools.product((0, 1), repeat=trials)
    exact = sum(share ** sum(o) * (1 - share) ** (trials - sum(o)) for o in outcomes if sum(o) >= count)

    assert at_least(count, trials, share) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "trials", "share", "wanted"),
    [(1, 10, 0.0, 0.0), (10, 10, 1.0, 1.0), (11, 10, 1.0, 0.0), (0, 0, 0.5, 1.0), (1, 0, 0.5, 0.0)],
)
def test_a_tail_at_its_borders(count: int, trials: int, share: float, wanted: float) -> None:
    assert at_least(count, trials, share) == wanted


def test_a_tail_keeps_the_digits_of_a_small_chance() -> None:
    assert at_least(12, 12, 0.01) == pytest.approx(1e-24, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5), (2, 5)])
@pytest.mark.parametrize("datapoints", [1, 3, 7])
def test_m_of_n_is_the_sum_over_every_sequence(m: int, n: int, datapoints: int) -> None:
    breach, exact = 0.3, 0.0
    for sequence in itertools.product((0, 1), repeat=datapoints):
        windows = (sequence[max(0, end - n) : end] for end in range(1, datapoints + 1))
        if any(sum(window) >= m for window in windows):
            exact += breach ** sum(sequence) * (1 - breach) ** (datapoints - sum(sequence))

    assert m_of_n_chance(breach, datapoints, m, n) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("deviations", [1.645, 2.077, 2.576, 3.09, 3.719])
@pytest.mark.parametrize("promised", [0.0005, 0.001, 0.01, 0.05, 0.2])
def test_a_datapoint_breaches_no_more_often_than_its_normal_quantile_says(
    deviations: float, promised: float
) -> None:
    """At numbers of requests up to 5,000, by steps of a tenth: the correction for skew makes the bound hold."""
    rule = ShareRule(promised, 60, 2, 3, deviations)
    most = 1 - 0.5 * math.erfc(-deviations / math.sqrt(2))
    for requests in sorted({int(1.1**power) for power in range(90)}):
        assert rule.breach_chance(requests, promised) <= most, requests


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (2, 5), (3, 5)])
@pytest.mark.parametrize("datapoints", [1, 7, 40])
@pytest.mark.parametrize("false_alarm", [0.005, 0.05])
def test_a_release_that_just_keeps_its_promise_fires_no_more_often_than_asked(
    m: int, n: int, datapoints: int, false_alarm: float
) -> None:
    rule = ShareRule(0.01, 60, m, n, deviations_of(false_alarm, datapoints, m, n))
    for requests in (1, 4, 12, 60, 300, 1200, 6000):
        assert rule.firing_chance(requests, 0.01, datapoints) <= false_alarm


def test_the_chance_of_firing_is_that_of_a_simulation() -> None:
    """40,000 bakes with a seed; the two agree within four standard errors."""
    draw, bakes, requests, share, datapoints = random.Random(7), 40_000, 60, 0.05, 3
    fewest, fired = RULE.fewest_bad(requests), 0
    for _ in range(bakes):
        breaches = [sum(draw.random() < share for _ in range(requests)) >= fewest for _ in range(datapoints)]
        fired += sum(breaches) >= 2
    chance = RULE.firing_chance(requests, share, datapoints)

    assert fired / bakes == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / bakes))


@pytest.mark.parametrize("requests", [0, 1, 2, 5])
def test_one_bad_request_never_breaches(requests: int) -> None:
    assert RULE.fewest_bad(requests) >= LEAST_BAD == 2


def test_more_traffic_finds_smaller_faults() -> None:
    missed = [1 - RULE.firing_chance(requests, 0.02, 3) for requests in (12, 60, 300, 1200, 6000)]

    assert missed == sorted(missed, reverse=True)
    assert missed[0] > 0.99
    assert missed[-1] < 0.001
