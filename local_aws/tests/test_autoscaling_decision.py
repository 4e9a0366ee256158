"""Scaling decisions: tables for the rules, properties for the invariants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.autoscaling.decision import (
    Bounds,
    NotScaled,
    ScaleTo,
    Signal,
    decide_scale_in,
    decide_scale_out,
)
from local_aws.autoscaling.facts import proportional

COUNTS = st.integers(min_value=1, max_value=50)
METRICS = st.floats(min_value=0, max_value=1e6)


def signal(metric: float, policy: str = "load", target: float = 100.0) -> Signal:
    return Signal(policy, f"{policy}-alarm", metric, target)


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    minimum = draw(COUNTS)
    maximum = draw(st.integers(min_value=minimum, max_value=60))
    count = draw(COUNTS)
    return Bounds(count, count, minimum, maximum)


@pytest.mark.parametrize(
    ("current", "metric", "count"),
    [(2, 100, 2), (2, 101, 3), (2, 140, 3), (1, 400, 4), (4, 50, 2), (3, 0, 0)],
)
def test_capacity_is_proportional_and_rounded_up(current: int, metric: float, count: int) -> None:
    assert proportional(current, metric, 100.0) == count


def test_rounding_errors_add_no_instance() -> None:
    assert proportional(3, 0.1 + 0.2, 0.3) == 3


@pytest.mark.parametrize(
    ("now", "signals", "cooling_from", "count"),
    [
        (Bounds(2, 2, 1, 8), [140], None, 3),
        (Bounds(2, 2, 1, 8), [140, 260], None, 6),
        (Bounds(2, 2, 1, 4), [900], None, 4),
        (Bounds(1, 2, 1, 8), [260], None, 3),
        (Bounds(3, 3, 1, 8), [140], 2, None),
        (Bounds(3, 3, 1, 8), [160], 2, 4),
        (Bounds(2, 2, 5, 8), [140], None, 5),
        (Bounds(2, 2, 1, 8), [90], None, None),
        (Bounds(2, 2, 1, 8), [], None, None),
    ],
    ids=[
        "in proportion",
        "the largest wins",
        "clamped",
        "by the instances that serve",
        "already on its way",
        "larger in the cooldown",
        "raised to the minimum",
        "below the target",
        "no alarm",
    ],
)
def test_scaling_out(now: Bounds, signals: list[float], cooling_from: int | None, count: int | None) -> None:
    decision = decide_scale_out(now, [signal(metric) for metric in signals], cooling_from=cooling_from)

    assert (decision.count if isinstance(decision, ScaleTo) else decision) == count


@pytest.mark.parametrize(
    ("now", "signals", "policies", "cooling", "outcome"),
    [
        (Bounds(4, 4, 1, 8), [50], 1, False, 2),
        (Bounds(4, 4, 1, 8), [10, 60], 2, False, 3),
        (Bounds(4, 4, 1, 8), [10], 2, False, None),
        (Bounds(4, 4, 1, 8), [10], 1, True, None),
        (Bounds(4, 4, 3, 8), [0], 1, False, 3),
        (Bounds(2, 2, 2, 8), [0], 1, False, "AlreadyAtMinCapacity"),
        (Bounds(2, 2, 1, 8), [80], 1, False, "AutoScalingAnticipatedFlapping"),
    ],
    ids=[
        "in proportion",
        "the largest wins",
        "not all agree",
        "cooldown",
        "clamped",
        "at minimum",
        "would breach",
    ],
)
def test_scaling_in(
    now: Bounds, signals: list[float], policies: int, cooling: bool, outcome: int | str | None
) -> None:
    decision = decide_scale_in(now, [signal(m) for m in signals], policies=policies, cooling=cooling)

    match decision:
        case ScaleTo(count=count):
            assert count == outcome
        case NotScaled(code=code):
            assert code == outcome
        case None:
            assert outcome is None


@given(now=bounds(), metrics=st.lists(METRICS, min_size=1, max_size=3), cooling_from=st.none() | COUNTS)
def test_scaling_out_only_grows_and_stays_inside(
    now: Bounds, metrics: list[float], cooling_from: int | None
) -> None:
    decision = decide_scale_out(now, [signal(metric) for metric in metrics], cooling_from=cooling_from)

    if isinstance(decision, ScaleTo):
        assert now.desired < decision.count <= now.maximum
        assert decision.count >= now.minimum


@given(now=bounds(), metrics=st.lists(METRICS, min_size=1, max_size=3))
def test_scaling_in_only_shrinks_and_would_not_breach_again(now: Bounds, metrics: list[float]) -> None:
    signals = [signal(metric) for metric in metrics]

    decision = decide_scale_in(now, signals, policies=len(signals), cooling=False)

    if isinstance(decision, ScaleTo):
        assert now.minimum <= decision.count < now.desired
        assert decision.count == now.maximum or all(
            now.current * metric / decision.count <= 100.0 * (1 + 1e-6) for metric in metrics
        )
