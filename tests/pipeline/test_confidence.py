"""The confidence of a sample agrees with counting."""

import math
import random

import pytest

from pipeline.verification.confidence import confidence_percent


def test_without_a_hit_it_is_the_chance_of_having_met_one() -> None:
    for samples in (10, 299, 1000):
        assert confidence_percent(samples, 0, 1.0) == pytest.approx(100 * (1 - 0.99**samples))
    assert confidence_percent(298, 0, 1.0) < 95 < confidence_percent(299, 0, 1.0)


def test_it_is_the_exact_binomial() -> None:
    so_few = sum(math.comb(60, n) * 0.05**n * 0.95 ** (60 - n) for n in range(3))

    assert confidence_percent(60, 2, 5.0) == pytest.approx(100 * (1 - so_few))


def test_a_share_at_its_limit_is_called_below_it_as_rarely_as_it_says() -> None:
    """2,000 samples of 400 at exactly 1 %: at most 5 of 100 may be called sure (95 %)."""
    chance = random.Random(1)
    wrong = sum(
        confidence_percent(400, sum(chance.random() < 0.01 for _ in range(400)), 1.0) > 95
        for _ in range(2000)
    )

    assert wrong / 2000 < 0.05


@pytest.mark.parametrize(
    ("samples", "hits", "limit", "percent"),
    [(0, 0, 1.0, 0), (10, 10, 1.0, 0), (5, 0, 0.0, 0), (5, 5, 100.0, 100)],
)
def test_its_ends(samples: int, hits: int, limit: float, percent: float) -> None:
    assert confidence_percent(samples, hits, limit) == pytest.approx(percent)


def test_many_samples_neither_overflow_nor_take_long() -> None:
    assert confidence_percent(10_000_000, 90_000, 1.0) == pytest.approx(100)
