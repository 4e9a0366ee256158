"""A schedule offers exactly the rates it names, refuses nonsense, and knows when to stop."""

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load_tests.schedule import (
    Phase,
    Schedule,
    ScheduleError,
    Slo,
    is_saturated,
    parse_schedule,
    read_schedule,
)

SLOW = st.floats(min_value=0.05, max_value=50)


@given(SLOW, st.none() | SLOW, st.floats(min_value=1, max_value=20))
def test_a_phase_starts_as_many_requests_as_its_rate_says_evenly_in_step_with_it(
    rate: float, until: float | None, seconds: float
) -> None:
    phase = Phase(name="p", seconds=seconds, requests_per_second=rate, until=until)
    starts = list(phase.starts())

    assert len(starts) == pytest.approx(phase.offered * seconds, abs=1)
    assert starts == sorted(starts)
    assert all(0 <= start <= seconds * (1 + 1e-6) for start in starts)
    for number, start in enumerate(starts):  # what was due by then, at the rate that rose or fell so far
        at = rate + ((rate if until is None else until) - rate) * start / seconds
        assert (rate + at) / 2 * start == pytest.approx(number + 0.5, rel=1e-4)


def test_a_rate_of_nothing_is_a_pause_without_requests() -> None:
    assert list(Phase(name="pause", seconds=5, requests_per_second=0).starts()) == []
    assert len(list(Phase(name="fall", seconds=5, requests_per_second=10, until=0).starts())) == 25


def phase(**changes: object) -> dict[str, object]:
    return {"name": "a", "seconds": 4, "requests_per_second": 20} | changes


@pytest.mark.parametrize(
    ("phases", "complaint"),
    [
        ([], "there is no phase"),
        ([phase(seconds=0.5)], "phase 'a' lasts 0.5 s"),
        ([phase(seconds=float("nan"))], "phase 'a' lasts nan s"),
        ([phase(requests_per_second=-1)], "phase 'a' offers -1 requests/s"),
        ([phase(requests_per_second=float("inf"))], "phase 'a' offers inf requests/s"),
        ([phase(until=-1)], "phase 'a' goes to -1 requests/s"),
        ([phase(), phase()], "two phases have the same name"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_by_name(phases: list[object], complaint: str) -> None:
    with pytest.raises(ScheduleError, match=complaint):
        parse_schedule({"phases": phases})


def test_a_broken_file_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    for text in ("{", json.dumps({"phases": [{"name": "a"}]}), json.dumps({"phases": []})):
        path.write_text(text)

        with pytest.raises(ScheduleError, match=str(path)):
            read_schedule(path)


@pytest.mark.parametrize(
    ("achieved", "p99_ms", "error_percent", "ends"),
    [
        (100, 20.0, 0.0, False),
        (80, 20.0, 0.0, False),
        (79, 20.0, 0.0, True),
        (100, 501.0, 0.0, True),
        (100, None, 0.0, True),
        (100, 20.0, 1.5, True),
    ],
)
def test_a_run_ends_once_a_phase_was_not_served_within_the_slo(
    achieved: float, p99_ms: float | None, error_percent: float, *, ends: bool
) -> None:
    schedule = Schedule(phases=(), stop_when_saturated=True, slo=Slo(p99_ms=500, error_percent=1))
    measure = partial(
        is_saturated, offered=100, achieved=achieved, p99_ms=p99_ms, error_percent=error_percent
    )

    assert measure(schedule) is ends
    assert not measure(Schedule(phases=())), "this schedule has no early end"
