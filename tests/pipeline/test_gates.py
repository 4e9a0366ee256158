"""A gate passes only what was measured, often enough, and within the limit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates import Gate, Limit, Verdict, judge, overall

LATENCY = Limit(
    name="latency", metric="p99_ms", at_most=500, unit="ms", passed_reason="it is fast", needs_samples=100
)


@pytest.mark.parametrize(
    ("measured", "samples", "verdict", "reason"),
    [
        (120.0, 1000, Verdict.PASSED, "it is fast"),
        (500.0, 1000, Verdict.PASSED, "it is fast"),
        (500.01, 1000, Verdict.FAILED, "is over 500 ms"),
        (math.inf, 1000, Verdict.FAILED, "is over 500 ms"),
        (120.0, 99, Verdict.INCONCLUSIVE, "only 99 of at least 100 samples"),
        (None, 1000, Verdict.INCONCLUSIVE, "not measured: nobody answered"),
        (math.nan, 1000, Verdict.INCONCLUSIVE, "not measured: nobody answered"),
    ],
)
def test_a_measurement_is_judged(measured: float | None, samples: int, verdict: Verdict, reason: str) -> None:
    gate = judge(LATENCY, measured, samples=samples, why_not_measured="nobody answered")

    assert gate.verdict is verdict
    assert reason in gate.reason


@given(
    st.none() | st.floats(), st.integers(min_value=0, max_value=1000), st.floats(min_value=0, max_value=1e6)
)
def test_nothing_passes_that_was_not_measured_within_the_limit(
    measured: float | None, samples: int, at_most: float
) -> None:
    limit = Limit(name="n", metric="m", at_most=at_most, unit="", passed_reason="", needs_samples=100)
    gate = judge(limit, measured, samples=samples)

    is_good = measured is not None and measured <= at_most and samples >= 100
    assert (gate.verdict is Verdict.PASSED) is is_good


def gate(verdict: Verdict) -> Gate:
    return Gate(name="n", metric="m", limit=1, measured=1, unit="", verdict=verdict, reason="")


@given(st.lists(st.sampled_from(Verdict)))
def test_the_worst_gate_decides_and_no_gate_at_all_decides_nothing(verdicts: list[Verdict]) -> None:
    found = overall(map(gate, verdicts))

    if Verdict.FAILED in verdicts:
        assert found is Verdict.FAILED
    elif Verdict.INCONCLUSIVE in verdicts or not verdicts:
        assert found is Verdict.INCONCLUSIVE
    else:
        assert found is Verdict.PASSED
