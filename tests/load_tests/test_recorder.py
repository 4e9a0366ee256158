"""Every figure of a result comes from the raw requests."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from load_tests.figures import percentile
from load_tests.generators import new_records
from load_tests.recorder import Recorder

LATENCIES = st.lists(st.floats(min_value=0, max_value=1e5, width=32), min_size=1)


@given(LATENCIES, st.floats(min_value=1, max_value=100))
def test_a_percentile_is_a_measured_value_that_enough_of_the_others_do_not_exceed(
    values: list[float], percent: float
) -> None:
    found = percentile(sorted(values), percent)

    assert found in values
    assert sum(value <= found for value in values) >= math.floor(len(values) * percent / 100)
    assert sum(value < found for value in values) <= len(values) * percent / 100


def test_nothing_measured_has_no_percentile() -> None:
    assert percentile([], 99) is None


def recorded(requests: Sequence[tuple[float, float, str | None]]) -> Recorder:
    recorder = Recorder()
    recorder.begin_phase("first", 10, now=100.0, cpu_seconds=1.0)
    for started, milliseconds, error in requests:
        recorder.record(started, milliseconds, error)
    recorder.end_phase(now=110.0, cpu_seconds=1.5)
    return recorder


def test_failures_are_counted_by_sentence_and_kept_out_of_the_latencies() -> None:
    recorder = recorded(
        [(101, 10, None), (102, 30, None), (103, 1, "ModelError 500: x"), (104, 2, "ModelError 500: x")]
    )
    (phase,) = recorder.result("e")["phases"]

    assert (phase["requests"], phase["failures"], phase["errors"]) == (4, 2, {"ModelError 500: x": 2})
    assert (phase["p50_ms"], phase["p99_ms"], phase["max_ms"]) == (10, 30, 30)


def test_a_phase_in_which_nothing_succeeded_has_no_latency() -> None:
    (phase,) = recorded([(101, 10, "gone")]).result("e")["phases"]

    assert phase["p99_ms"] is None


def test_the_generators_cpu_is_a_share_of_one_core() -> None:
    (phase,) = recorded([]).result("e")["phases"]

    assert phase["generator_cpu_percent"] == 5.0


def test_each_request_belongs_to_the_phase_it_began_in_and_none_is_lost() -> None:
    recorder = recorded([(100.0, 1, None), (109.999, 1, None)])
    recorder.begin_phase("second", 20, now=110.0, cpu_seconds=1.5)
    for started in (110.0, 119.0, 120.5):  # the last began while the run was being stopped
        recorder.record(started, 1, None)
    recorder.end_phase(now=120.0, cpu_seconds=2.0)

    assert [phase["requests"] for phase in recorder.result("e")["phases"]] == [2, 3]


@given(st.lists(st.tuples(st.floats(min_value=100, max_value=109.9), st.booleans()), max_size=60))
def test_the_seconds_add_up_to_the_phases(requests: list[tuple[float, bool]]) -> None:
    result = recorded([(at, 5.0, "bad" if failed else None) for at, failed in requests]).result("e")

    for count in ("requests", "failures"):
        assert sum(row[count] for row in result["seconds"]) == result["phases"][0][count]


def test_kinds_of_error_are_bounded_so_that_a_talkative_endpoint_cannot_fill_the_memory() -> None:
    recorder = recorded([(101, 1, f"error {number}") for number in range(3000)])

    assert len(recorder.sentences) <= 1001
    assert recorder.result("e")["phases"][0]["failures"] == 3000


def test_an_answer_counts_as_achieved_in_the_phase_in_which_it_came() -> None:
    """A growing queue must not look like service: 8 of 10 requests wait past the end of the phase."""
    recorder = recorded([(101.0, 500, None), (102.0, 500, None)] + [(105.0, 6000, None)] * 8)
    (phase,) = recorder.result("e")["phases"]

    assert (phase["requests"], phase["achieved_rps"]) == (10, 0.2)


def test_identities_count_the_answers_of_each_instance() -> None:
    recorder = recorded([])
    for at, release, instance in ((5, "a", "1"), (6, "a", "1"), (7, "a", "2"), (8, "b", "3")):
        recorder.count_answer(release, instance, at=at)

    assert recorder.result("e")["identities"] == {"a": {"1": 2, "2": 1}, "b": {"3": 1}}
    assert recorder.result("e")["first_heard"] == {"1": 5, "2": 7, "3": 8}


def test_a_generator_that_was_late_or_busy_makes_its_phase_invalid() -> None:
    late, busy = recorded([]), recorded([])
    for number in range(100):
        late.record(101.0, 10, None, lag_ms=250 if number < 2 else 1)
    busy.phases[0].cpu_at_end = 10.0
    valid = recorded([(101.0, 10, None)]).result("e")["phases"][0]

    assert valid["invalid"] is None
    assert "up to 250 ms late" in late.result("e")["phases"][0]["invalid"]
    assert "used 90 % of its core" in busy.result("e")["phases"][0]["invalid"]


def test_successful_answers_over_the_slo_are_counted_when_there_is_one() -> None:
    recorder = recorded([(101, 500, None), (102, 501, None), (103, 900, None), (104, 900, "broken")])

    assert recorder.result("e")["phases"][0]["slow"] is None
    recorder.slo_ms = 500
    assert recorder.result("e")["phases"][0]["slow"] == 2


def test_the_workers_records_joined_are_those_of_one_recorder() -> None:
    """Each worker has error sentences of its own, and a clock that may be ahead of the master's."""
    master, first, second = Recorder(), Recorder(), Recorder()
    first.record(101.0, 10.0, None, lag_ms=1.0)
    first.record(102.0, 20.0, "broken", side=1)
    second.record(1101.5, 30.0, "refused")
    second.record(1102.5, 40.0, "broken")
    first.count_answer("r", "i1", at=101.0)
    second.count_answer("r", "i1", at=1100.5)
    second.count_answer("r", "i2", at=1102.0)
    master.join(new_records(first, 0, clock_offset=0.0))
    master.join(new_records(second, 0, clock_offset=1000.0))
    master.join(new_records(second, 2, clock_offset=1000.0))

    assert list(master.starts) == [101.0, 102.0, 101.5, 102.5]
    assert list(master.durations) == [10.0, 20.0, 30.0, 40.0]
    assert list(master.sides) == [0, 1, 0, 0]
    assert [master.sentences[kind] for kind in master.errors] == ["", "broken", "refused", "broken"]
    assert master.first_answers == {"i1": 100.5, "i2": 102.0}
    assert master.identities == {"r": {"i1": 2, "i2": 1}}, "counted twice, not four times"
