"""Results of several generators are judged as one load, never better than the worst of them."""

import random
from typing import Any

import pytest

from pipeline.errors import ConfigError, LoadTestBroken
from pipeline.verification.join_results import join_results
from pipeline.verification.load import LoadResult
from pipeline.verification.run_load_test import wait_for_start
from tests.pipeline.clocks import FakeClock


def result(
    began: float = 1000.0, seconds: float = 10.0, endpoint: str = "digits", **changes: Any
) -> LoadResult:
    phase = {
        "name": "steady", "offered_rps": 20.0, "started": began, "finished": began + seconds, "requests": 200,
        "failures": 1, "slow": None, "achieved_rps": 20.0, "p50_ms": 10.0, "p95_ms": 20.0, "p99_ms": 30.0,
        "max_ms": 40.0, "generator_cpu_percent": 20.0, "lag_p99_ms": 1.0, "invalid": None, "errors": {"broken": 1},
    } | changes  # fmt: skip
    row = {"at": int(began), "requests": 20, "failures": 0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": None}
    return LoadResult.model_validate(
        {
            "schema": 1, "endpoint": endpoint, "started": began, "finished": began + seconds, "phases": [phase],
            "seconds": [row], "fleet": [], "first_heard": {"i-1": began}, "identities": {"r": {"i-1": 199}},
        }
    )  # fmt: skip


def test_counts_are_added_up_and_the_worst_latency_stands_for_all() -> None:
    joined = join_results(
        [result(), result(1001.0, p99_ms=90.0, p50_ms=None, lag_p99_ms=7.0, errors={"slow": 1})]
    )
    (phase,) = joined.phases

    assert (phase.offered_rps, phase.requests, phase.failures, phase.achieved_rps) == (40.0, 400, 2, 40.0)
    assert (phase.p50_ms, phase.p99_ms, phase.lag_p99_ms) == (10.0, 90.0, 7.0)
    assert phase.errors == {"broken": 1, "slow": 1}
    assert (phase.started, phase.finished) == (1000.0, 1011.0)
    assert joined.identities == {"r": {"i-1": 398}}
    assert joined.first_heard == {"i-1": 1000.0}
    assert [row["requests"] for row in joined.seconds] == [20, 20]


def test_no_percentile_of_the_whole_is_above_the_worst_of_its_parts() -> None:
    """This makes it safe to judge the worst of the parts."""
    chance = random.Random(7)
    for _ in range(50):
        parts = [[chance.expovariate(1 / n) for _ in range(chance.randint(100, 400))] for n in (10, 40)]

        def p99(values: list[float]) -> float:
            return sorted(values)[-(-99 * len(values) // 100) - 1]

        assert p99(parts[0] + parts[1]) <= max(map(p99, parts))


def test_what_one_generator_lacked_makes_the_phase_invalid() -> None:
    assert join_results([result(), result(invalid="it was late")]).phases[0].invalid == "it was late"


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (result(1003.0), "overlapped for 7 of 10 s"),
        (result(2000.0), "overlapped for 0 of 10 s"),
        (result(name="other"), "different endpoints or shapes"),
        (result(endpoint="other"), "different endpoints or shapes"),
        (result().model_copy(update={"started": None}), "has sent no request"),
    ],
)
def test_what_was_not_one_load_is_not_judged_as_one(other: LoadResult, problem: str) -> None:
    with pytest.raises(LoadTestBroken, match=problem):
        join_results([result(), other])


@pytest.mark.parametrize(("at", "sleeps"), [(1100.0, [100.0]), (990.0, [])])
def test_a_generator_waits_for_the_beginning_that_all_have(at: float, sleeps: list[float]) -> None:
    clock = FakeClock(1000.0)
    wait_for_start(at, clock)

    assert clock.slept == sleeps
    with pytest.raises(ConfigError, match="is 1801 s ahead"):
        wait_for_start(2801.0, FakeClock(1000.0))
