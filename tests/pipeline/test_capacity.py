"""Capacity is named only when the instance, not something else, was what gave way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates import Verdict
from pipeline.verification.capacity import Slo, Step, bracket, holds, judge_capacity, vcpus
from pipeline.verification.capacity_search import (
    RESOLUTION,
    SURE_SAMPLES,
    first_rates,
    lacks_cpu,
    next_rates,
    samples_for,
)

SLO = Slo(p99_ms=500, error_percent=1)
TYPE = "ml.m5.large"  # 2 vCPUs: CPU goes up to 200 %
SEARCH = {"growth": 1.6, "maximum_rps": 400.0}


def step(rate: float, **changes: Any) -> Step:
    """Return a step that holds for sure, unless changed."""
    good: dict[str, Any] = {"offered_rps": rate, "achieved_rps": rate, "p50_ms": 10.0, "p99_ms": 40.0}
    good |= {"requests": 480, "over": 0}
    good |= {
        "error_percent": 0.0,
        "seconds": 4.0,
        "instance_cpu_percent": 80.0,
        "generator_cpu_percent": 20.0,
    }
    return Step(**(good | changes))


def broken(rate: float, **changes: Any) -> Step:
    return step(rate, **({"p99_ms": 900.0, "instance_cpu_percent": 195.0} | changes))


@given(st.floats(1, 200), st.floats(1.05, 4), st.floats(1, 5000))
def test_the_search_climbs_to_its_maximum_and_never_further(first: float, growth: float, most: float) -> None:
    rates = first_rates(first_rps=first, growth=growth, maximum_rps=most)

    assert list(rates) == sorted(set(rates))
    assert rates[-1] == most
    assert len(rates) < 200


@pytest.mark.parametrize(
    "changes",
    [
        {"p99_ms": 501.0},
        {"p99_ms": None},
        {"error_percent": 1.1},
        {"achieved_rps": 80.0},
        {"seconds": 0.4},
    ],
)
def test_a_rate_holds_only_if_latency_errors_rate_and_sample_size_do(changes: dict[str, Any]) -> None:
    assert holds(step(100), SLO)
    assert not holds(step(100, **changes), SLO)


def test_a_rate_that_held_counts_even_if_a_lower_one_stumbled() -> None:
    good, bad = bracket([step(20), broken(32), step(51), broken(82)], SLO)

    assert good is not None
    assert bad is not None
    assert (good.offered_rps, bad.offered_rps) == (51, 82)


def test_the_search_halves_what_lies_between_until_it_is_near_enough() -> None:
    few = {"requests": 80, "over": 0}
    steps = [step(82, **few), step(131, **few), broken(210)]
    assert next_rates(steps, SLO, TYPE, **SEARCH) == (166,)

    steps.append(broken(166))
    assert next_rates(steps, SLO, TYPE, **SEARCH) == (147,)

    steps.append(step(147, **few))
    assert next_rates(steps, SLO, TYPE, **SEARCH) == (147,), "once more, to be sure"
    assert samples_for(147, steps, SLO) == SURE_SAMPLES
    assert samples_for(157, steps, SLO) < SURE_SAMPLES

    steps.append(step(147))
    assert next_rates(steps, SLO, TYPE, **SEARCH) == ()


def test_a_rate_that_holds_without_confidence_is_given_up_for_a_lower_one() -> None:
    """Three of 480 over the limit are 0.6 %: with a chance of 29 % it is more than 1 %."""
    doubtful = [step(147, over=3), broken(166)]
    lower = 147 / RESOLUTION

    assert judge_capacity(doubtful, SLO, TYPE).verdict is Verdict.INCONCLUSIVE
    assert "70.7 % confidence, and 95 % are needed" in judge_capacity(doubtful, SLO, TYPE).reason
    assert next_rates(doubtful, SLO, TYPE, **SEARCH) == (lower,)
    assert samples_for(lower, doubtful, SLO) == SURE_SAMPLES

    found = judge_capacity([*doubtful, step(lower, over=1)], SLO, TYPE)
    assert (found.verdict, found.requests_per_second) == (Verdict.PASSED, lower)
    assert next_rates([*doubtful, step(lower, over=3)], SLO, TYPE, **SEARCH) == (lower / RESOLUTION,)


def test_a_hundred_requests_make_no_capacity() -> None:
    """None of 100 over the limit is 63 % confidence."""
    found = judge_capacity([step(131, requests=100), broken(147)], SLO, TYPE)

    assert (found.verdict, found.requests_per_second) == (Verdict.INCONCLUSIVE, None)


def test_where_the_generator_gives_way_the_capacity_is_at_least_what_held() -> None:
    late = broken(210, invalid="the generator was late")
    found = judge_capacity([step(131), late, late], SLO, TYPE)

    assert (found.verdict, found.bottleneck, found.requests_per_second) == (Verdict.PASSED, "generator", 131)
    assert "the generator was late; the capacity is at least what held" in found.reason
    assert next_rates([step(131, requests=80), late, late], SLO, TYPE, **SEARCH) == (131,)


def test_a_step_that_broke_while_the_generator_was_late_is_tried_again_and_does_not_count() -> None:
    late = broken(147, invalid="late")

    assert next_rates([step(131), late], SLO, TYPE, **SEARCH) == (147,), "nothing else has broken"
    assert next_rates([step(131), broken(166), late], SLO, TYPE, **SEARCH) == (147,)
    found = judge_capacity([step(131), step(147), broken(166), late], SLO, TYPE)
    assert (found.requests_per_second, found.broke_at_rps) == (147, 166), "it does not undo what held before"


def test_a_rate_that_does_not_hold_again_is_not_named() -> None:
    steps = [step(131, requests=650, over=2), step(147), broken(166), broken(147)]
    found = judge_capacity(steps, SLO, TYPE)

    assert next_rates(steps, SLO, TYPE, **SEARCH) == ()
    assert (found.requests_per_second, found.broke_at_rps) == (131, 147)


def test_what_is_named_says_how_sure_it_is() -> None:
    found = judge_capacity([step(147, requests=500, over=1), broken(166)], SLO, TYPE)

    assert found.confidence_percent == 96.0
    assert "1 of 500 requests were over the limit: less than 1 % with 96 % confidence" in found.reason


def test_the_cpu_of_the_instance_is_asked_for_only_while_it_is_needed() -> None:
    unknown = {"instance_cpu_percent": None}

    assert not lacks_cpu([step(82, **unknown)], SLO, TYPE)
    assert lacks_cpu([step(82), broken(131, **unknown)], SLO, TYPE)
    assert not lacks_cpu([step(82), broken(131), broken(105, **unknown)], SLO, TYPE), "131/s has told"


def test_an_instance_too_weak_for_the_first_rate_is_searched_below_it() -> None:
    assert next_rates([broken(20)], SLO, TYPE, **SEARCH) == (10,)
    assert next_rates([broken(20), broken(1)], SLO, TYPE, **SEARCH) == ()


def test_a_failure_that_the_instances_cpu_does_not_explain_is_tried_again_and_on() -> None:
    rates = next_rates([step(82), broken(131, instance_cpu_percent=70.0)], SLO, TYPE, **SEARCH)

    assert rates[:2] == (131, 210)


def test_a_rate_that_held_when_it_was_tried_again_is_climbed_on_from() -> None:
    """The climb had ended there because the generator was late."""
    steps = [step(147), broken(235, invalid="late"), step(235)]

    assert next_rates(steps, SLO, TYPE, **SEARCH) == (376, 400)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [step(400)],
        [step(20), broken(32, invalid="late"), broken(32, invalid="late")],
        [broken(20, invalid="late"), broken(20, invalid="late")],
        [step(20), broken(32, instance_cpu_percent=None)],
    ],
)
def test_there_is_no_further_round_where_it_could_not_say_more(steps: list[Step]) -> None:
    assert next_rates(steps, SLO, TYPE, **SEARCH) == ()


def test_the_capacity_is_the_highest_rate_that_held_when_the_instance_was_busy() -> None:
    found = judge_capacity([step(131), step(157, achieved_rps=155.5), broken(184)], SLO, TYPE)

    assert (found.verdict, found.bottleneck, found.requests_per_second) == (
        Verdict.PASSED,
        "instance",
        155.5,
    )


def test_an_instance_that_held_to_the_end_has_at_least_this_capacity() -> None:
    found = judge_capacity([step(200), step(400)], SLO, TYPE)

    assert (found.verdict, found.bottleneck, found.requests_per_second) == (Verdict.PASSED, "none", 400)
    assert "at least" in found.reason


@pytest.mark.parametrize(
    ("steps", "bottleneck", "fix"),
    [
        ([broken(20, invalid="give it a machine of its own")], "generator", "machine of its own"),
        ([step(131), broken(210, instance_cpu_percent=60.0)], "unknown", "the limit is elsewhere"),
        ([step(131), broken(210, achieved_rps=150.0, instance_cpu_percent=100.0)], "unknown", "network"),
        ([step(131), broken(210, instance_cpu_percent=None)], "unknown", "CloudWatch"),
        ([broken(20)], "instance", "lowest rate"),
        ([], "unknown", "no step"),
    ],
)
def test_no_capacity_is_named_when_something_else_gave_way(
    steps: list[Step], bottleneck: str, fix: str
) -> None:
    found = judge_capacity(steps, SLO, TYPE)

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.requests_per_second is None
    assert found.bottleneck == bottleneck
    assert fix in found.reason


@given(capacity=st.floats(30, 350), data=st.data())
def test_the_search_finds_the_capacity_of_any_instance_within_its_resolution(
    capacity: float, data: st.DataObject
) -> None:
    """An instance that serves every rate up to its capacity, and is busy above it."""
    steps: list[Step] = []
    rates = first_rates(first_rps=20, **SEARCH)
    for _ in range(8):
        for rate in rates:
            asked = samples_for(rate, steps, SLO)
            asked = round(1.2 * asked)
            good = step(rate, requests=asked, over=0) if rate <= capacity else broken(rate, requests=asked)
            steps.append(good)
            if rate > capacity:
                break
        rates = next_rates(steps, SLO, TYPE, **SEARCH)
    found = judge_capacity(steps, SLO, TYPE)

    assert rates == (), "the search has come to its end"
    assert found.requests_per_second is not None
    assert capacity / 1.16 <= found.requests_per_second <= capacity
    assert found.confidence_percent is not None
    assert found.confidence_percent > 95


@pytest.mark.parametrize(
    ("instance_type", "count"),
    [
        ("ml.m5.large", 2),
        ("ml.c5.xlarge", 4),
        ("ml.g5.2xlarge", 8),
        ("ml.p4d.24xlarge", 96),
        ("ml.m5.metal", None),
    ],
)
def test_the_size_of_an_instance_type_says_its_vcpus(instance_type: str, count: int | None) -> None:
    assert vcpus(instance_type) == count
