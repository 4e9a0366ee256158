"""The CPU of an instance follows what the model costs, and what this machine has."""

from pathlib import Path

import pytest

from rehearsal.cpu_share import (
    BUSY_INSTANCES,
    ELSEWHERE_SECONDS,
    SCALE,
    WANTED_PER_SECOND,
    choose_share,
    cpu_share,
    free_cpus,
)
from rehearsal.errors import CANNOT_JUDGE, MachineTooSmall, RehearsalError
from rehearsal.machine import ROOT
from rehearsal.models import RehearsalModel

LIMIT_SECONDS = 0.5
MODEL = ROOT / "container" / "local_test" / "opt" / "ml" / "model"


def test_a_quick_model_gets_the_cpu_for_a_hundred_requests_a_second() -> None:
    found = choose_share(0.0005, 2.0, 2, LIMIT_SECONDS)

    assert found.cpus == pytest.approx(WANTED_PER_SECOND * 0.0005)
    assert found.settings == {SCALE: "0.025"}
    assert "0.5 ms of one, so that it serves about 100 a second" in str(found)


@pytest.mark.parametrize("request_seconds", [0.004, 0.02, 0.1, 0.2])
@pytest.mark.parametrize("cpus", [2.0, 4.0, 16.0])
def test_instances_and_what_serves_them_fit_into_the_free_cpus(request_seconds: float, cpus: float) -> None:
    found = choose_share(request_seconds, cpus, 2, LIMIT_SECONDS)
    assert found.per_second is not None
    elsewhere = BUSY_INSTANCES * found.per_second * ELSEWHERE_SECONDS

    assert BUSY_INSTANCES * found.cpus + elsewhere < cpus


def test_clients_take_a_small_part_of_what_a_slow_model_serves() -> None:
    assert choose_share(0.0005, 2.0, 2, LIMIT_SECONDS).clients_per_second == 5.0
    assert choose_share(0.1, 2.0, 2, LIMIT_SECONDS).clients_per_second < 0.5


def test_a_model_that_is_too_slow_here_is_not_rehearsed() -> None:
    with pytest.raises(MachineTooSmall, match=r"too busy or too small: a request takes 500 ms") as caught:
        choose_share(0.5, 2.0, 2, LIMIT_SECONDS)

    assert caught.value.exit_code == CANNOT_JUDGE


def test_an_instance_that_would_break_its_promise_alone_is_not_rehearsed() -> None:
    """A request of 100 ms on a third of a CPU takes 300 ms: any queue breaks the promise of 500."""
    assert choose_share(0.1, 2.0, 2, LIMIT_SECONDS).cpus > 0.8
    with pytest.raises(MachineTooSmall, match=r"each in 456 ms at least; .*250 ms"):
        choose_share(0.1, 0.5, 2, LIMIT_SECONDS)


def test_a_busy_machine_still_gives_every_second_turn() -> None:
    assert free_cpus(2, 0.0) == 2.0
    assert free_cpus(2, 100.0) == 1.0


@pytest.mark.starts_processes
def test_the_cost_of_a_model_is_measured_by_serving_it() -> None:
    found = cpu_share(RehearsalModel(MODEL), "ml.m5.large", LIMIT_SECONDS, {})

    assert found.per_second is not None
    assert 0.00005 < found.cpus / found.per_second < 0.05


@pytest.mark.starts_processes
def test_a_scale_that_is_set_is_taken() -> None:
    found = cpu_share(RehearsalModel(MODEL), "ml.m5.large", LIMIT_SECONDS, {SCALE: "0.5"})

    assert (found.cpus, found.per_second, found.settings) == (1.0, None, {SCALE: "0.5"})


@pytest.mark.starts_processes
def test_a_model_that_cannot_be_served_as_a_process_gets_the_usual_share(tmp_path: Path) -> None:
    """Its packages may be in the image alone."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("import no_such_package\n")
    (tmp_path / "golden.jsonl").write_text('{"request": {"body": {"json": 1}}}\n')
    found = cpu_share(RehearsalModel(tmp_path), "ml.m5.large", LIMIT_SECONDS, {})

    assert found.settings == {SCALE: "0.02"}
    assert "a request's cost is not known: The model cannot be served" in str(found)


@pytest.mark.starts_processes
def test_an_instance_type_that_is_not_known_here_is_said_at_once() -> None:
    with pytest.raises(RehearsalError, match="accelerators are not imitated"):
        cpu_share(RehearsalModel(MODEL), "ml.g5.xlarge", LIMIT_SECONDS, {})
