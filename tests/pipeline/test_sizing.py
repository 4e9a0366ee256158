"""A policy's targets follow from what one instance was measured to do."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verification.capacity import Step
from pipeline.verification.sizing import (
    held_rate,
    rate_of_concurrency,
    target_concurrency,
    target_per_minute,
    targets_of,
)


def step(rate: float, concurrency: float | None) -> Step:
    return Step(
        offered_rps=rate, achieved_rps=rate, p50_ms=9.0, p99_ms=9.0, error_percent=0, seconds=4,
        instance_cpu_percent=None, generator_cpu_percent=5, concurrency=concurrency,
    )  # fmt: skip


CURVE = [step(20, 2), step(40, 3), step(80, 11)]


def test_invocations_follow_awss_advice() -> None:
    assert target_per_minute(40.0, 0.5) == 40.0 * 0.5 * 60


def test_concurrency_is_read_off_the_measured_curve_at_the_safe_rate() -> None:
    """Half of the rate has far less than half of the requests waiting."""
    assert target_concurrency(CURVE, 80, 0.5) == 3
    assert target_concurrency(CURVE, 80, 0.75) == 7


def test_below_one_request_there_is_no_target() -> None:
    assert target_concurrency([step(100, 1)], 100, 0.1) == 1


def test_without_the_metric_there_is_no_target() -> None:
    assert target_concurrency([step(20, None)], 20, 0.5) is None
    assert target_concurrency(CURVE, 200, 0.9) is None, "beyond the curve nothing was measured"


def test_a_rate_that_was_tried_again_counts_as_the_last_time_and_a_dip_is_chance() -> None:
    again = [step(20, 9), step(20, 2), step(30, 1), step(40, 3)]

    assert target_concurrency(again, 40, 0.75) == 2


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 99)), min_size=1, max_size=8))
def test_the_target_never_falls_as_the_safe_rate_rises(points: list[tuple[int, int]]) -> None:
    steps = [step(rate, concurrency) for rate, concurrency in points]
    top = max(rate for rate, _ in points)
    targets = [target_concurrency(steps, top, share) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]

    assert all(low is not None and high is not None and low <= high for low, high in pairwise(targets))


def test_a_concurrency_is_turned_back_into_the_rate_that_has_it() -> None:
    assert rate_of_concurrency(CURVE, 7) == pytest.approx(60)
    assert rate_of_concurrency(CURVE, 12) is None


def test_a_capacity_has_a_target_for_either_policy_and_no_capacity_has_none() -> None:
    found = targets_of(CURVE, 80, 0.5)

    assert found is not None
    assert (found.invocations_per_minute, found.concurrent_requests) == (2400, 3)
    assert targets_of(CURVE, None, 0.5) is None


@pytest.mark.parametrize(
    ("per_minute", "concurrency", "rate"),
    [(2400, None, 40), (None, 7, 60), (2400, 7, 40), (6000, 7, 60), (None, None, None), (None, 99, None)],
)
def test_of_two_policies_the_one_that_acts_first_holds_the_instance(
    per_minute: float | None, concurrency: float | None, rate: float | None
) -> None:
    assert held_rate(CURVE, per_minute=per_minute, concurrency=concurrency) == pytest.approx(rate)
