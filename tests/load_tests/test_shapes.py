"""A named shape becomes a schedule; one that cannot be used is refused with the reason."""

from pathlib import Path

import pytest

from load_tests.schedule import Phase, ScheduleError
from load_tests.shapes import SHAPES, named_schedule


def rates(phases: tuple[Phase, ...]) -> list[tuple[float, float, float | None]]:
    return [(phase.seconds, phase.requests_per_second, phase.until) for phase in phases]


@pytest.mark.parametrize("name", sorted(path.stem for path in SHAPES.glob("*.yaml")))
def test_every_declared_shape_is_a_schedule(name: str) -> None:
    phases = named_schedule(name).phases

    assert len({phase.name for phase in phases}) == len(phases) > 0
    assert sum(phase.offered * phase.seconds for phase in phases) > 100


def test_the_shapes_are_what_their_names_say() -> None:
    assert rates(named_schedule("steps").phases) == [(60, rate, None) for rate in (20, 40, 60, 80, 100)]
    assert rates(named_schedule("spike").phases) == [(60, 20, None), (30, 100, None), (120, 20, None)]
    assert rates(named_schedule("ramp").phases) == [(300, 20, 100), (300, 100, None), (300, 100, 20)]
    assert rates(named_schedule("soak").phases) == [(14400, 40, None)]


def test_a_replay_passes_through_every_rate_that_was_measured() -> None:
    phases = named_schedule("replay").phases
    lines = (SHAPES / "replay.csv").read_text().split()[1:]
    measured = [tuple(map(float, line.split(","))) for line in lines]

    assert [phase.requests_per_second for phase in phases] == [rate for _, rate in measured[:-1]]
    assert [phase.until for phase in phases] == [rate for _, rate in measured[1:]]
    assert sum(phase.seconds for phase in phases) == measured[-1][0]


def test_a_shape_can_be_made_louder_and_shorter() -> None:
    phases = named_schedule("ramp", times_rate=2, times_seconds=0.1).phases

    assert rates(phases) == [(30, 40, 200), (30, 200, None), (30, 200, 40)]
    assert rates(named_schedule("soak", times_seconds=1e-9).phases) == [(1, 40, None)]


def test_a_shape_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ScheduleError, match="use one of ramp, replay, soak, spike, steps"):
        named_schedule("wave")


@pytest.mark.parametrize(
    ("shape", "table", "complaint"),
    [
        ("kind: wave", "", "kind"),
        ("kind: soak\nrps: 4\nsecond: 9", "", "second"),
        ("kind: soak\nrps: -4\nseconds: 9", "", "rps"),
        ("kind: [", "", "flow"),
        ("kind: replay\nfile: gone.csv", "", r"gone\.csv: cannot be read"),
        ("kind: replay\nfile: r.csv", "", "cannot be read"),
        ("kind: replay\nfile: r.csv", "at,rate\n0,1\n5,2", "the heading must be seconds,requests_per_second"),
        ("kind: replay\nfile: r.csv", "seconds,requests_per_second\n0,1", "at least two rows"),
        ("kind: replay\nfile: r.csv", "seconds,requests_per_second\n0,1\n5,x", "line 3: two numbers"),
        (
            "kind: replay\nfile: r.csv",
            "seconds,requests_per_second\n0,1\n0.5,2",
            "line 3: rates are not negative",
        ),
        (
            "kind: replay\nfile: r.csv",
            "seconds,requests_per_second\n0,1\n5,-2",
            "line 3: rates are not negative",
        ),
    ],
)
def test_a_shape_that_cannot_be_used_says_why(tmp_path: Path, shape: str, table: str, complaint: str) -> None:
    (tmp_path / "mine.yaml").write_text(shape)
    (tmp_path / "r.csv").write_text(table)

    with pytest.raises(ScheduleError, match=complaint):
        named_schedule(str(tmp_path / "mine.yaml"))
