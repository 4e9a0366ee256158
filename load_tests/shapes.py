"""Named load shapes: config/shapes/NAME.yaml, each converted into the phases of a schedule.

python -m load_tests.shapes NAME [--minutes N] [--times-rate X] [--times-seconds X] prints the schedule as JSON.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from load_tests.schedule import Phase, Schedule, ScheduleError

SHAPES = Path(__file__).parent.parent / "config" / "shapes"
COLUMNS = ["seconds", "requests_per_second"]

Rate = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=1)]


class Shape(BaseModel):
    """A load shape, as its file declares it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        """Return the phases in order; `folder` holds the files that the shape names."""
        raise NotImplementedError


class Steps(Shape):
    """A rate that rises in equal steps from `first_rps` to `last_rps`."""

    kind: Literal["steps"]
    first_rps: Rate
    last_rps: Rate
    steps: Annotated[int, Field(ge=2)]
    step_seconds: Seconds

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        rise = (self.last_rps - self.first_rps) / (self.steps - 1)
        rates = [self.first_rps + rise * number for number in range(self.steps)]
        return tuple(
            _phase(f"step {number} at {rate:g}/s", self.step_seconds, rate)
            for number, rate in enumerate(rates, 1)
        )


class Spike(Shape):
    """A base rate with one sudden peak."""

    kind: Literal["spike"]
    base_rps: Rate
    peak_rps: Rate
    before_seconds: Seconds
    spike_seconds: Seconds
    after_seconds: Seconds

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        return (
            _phase("before", self.before_seconds, self.base_rps),
            _phase("spike", self.spike_seconds, self.peak_rps),
            _phase("after", self.after_seconds, self.base_rps),
        )


class Ramp(Shape):
    """A rate that rises evenly to a peak, holds, and falls evenly."""

    kind: Literal["ramp"]
    base_rps: Rate
    peak_rps: Rate
    rise_seconds: Seconds
    hold_seconds: Seconds
    fall_seconds: Seconds

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        return (
            _phase("rise", self.rise_seconds, self.base_rps, self.peak_rps),
            _phase("hold", self.hold_seconds, self.peak_rps),
            _phase("fall", self.fall_seconds, self.peak_rps, self.base_rps),
        )


class Soak(Shape):
    """One rate for a long time."""

    kind: Literal["soak"]
    rps: Rate
    seconds: Seconds

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        return (_phase("soak", self.seconds, self.rps),)


class Replay(Shape):
    """Recorded rates: a CSV file with the heading `seconds,requests_per_second`, beside the shape's own file."""

    kind: Literal["replay"]
    file: str

    def phases(self, _folder: Path) -> tuple[Phase, ...]:
        rows = _rows(_folder / self.file)
        return tuple(
            _phase(f"from {begin:g} s", end - begin, rate, until)
            for (begin, rate), (end, until) in pairwise(rows)
        )


AnyShape: TypeAdapter[Shape] = TypeAdapter(
    Annotated[Steps | Spike | Ramp | Soak | Replay, Field(discriminator="kind")]
)


def _phase(name: str, seconds: float, rate: float, until: float | None = None) -> Phase:
    return Phase(name=name, seconds=seconds, requests_per_second=rate, until=until)


def _rows(path: Path) -> list[tuple[float, float]]:
    """Read the rates. Raises ScheduleError naming the line that cannot be used."""
    try:
        heading, *lines = list(csv.reader(path.read_text().splitlines()))
    except (OSError, ValueError) as error:
        raise ScheduleError(f"{path}: cannot be read: {error}") from error
    if heading != COLUMNS:
        raise ScheduleError(f"{path}: the heading must be {','.join(COLUMNS)}")
    found: list[tuple[float, float]] = []
    for number, line in enumerate(lines, 2):
        try:
            at, rate = (float(cell) for cell in line)
        except ValueError as error:
            raise ScheduleError(f"{path} line {number}: two numbers are needed") from error
        if rate < 0 or (found and at < found[-1][0] + 1):
            raise ScheduleError(f"{path} line {number}: rates are not negative, seconds rise by 1 at least")
        found.append((at, rate))
    if len(found) < 2:
        raise ScheduleError(f"{path}: at least two rows are needed")
    return found


def named_schedule(
    name: str, *, times_rate: float = 1.0, times_seconds: float = 1.0, minutes: float | None = None
) -> Schedule:
    """Return the schedule of config/shapes/NAME.yaml (or of a file), its rates and seconds multiplied.

    `minutes`: total duration, instead of `times_seconds`.
    Raises ScheduleError for a shape that does not exist or cannot be used.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else SHAPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in SHAPES.glob("*.yaml")))
        raise ScheduleError(f"There is no shape {name!r}: use one of {known}, or add {path}.")
    try:
        shape = AnyShape.validate_python(yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, ValidationError) as error:
        raise ScheduleError(f"{path}: {error}") from error
    phases = shape.phases(path.parent)
    if minutes is not None:
        times_seconds = minutes * 60 / sum(phase.seconds for phase in phases)
    return Schedule(phases=tuple(_scaled(each, times_rate, times_seconds) for each in phases))


def _scaled(phase: Phase, rate: float, seconds: float) -> Phase:
    until = None if phase.until is None else phase.until * rate
    return _phase(phase.name, max(1.0, phase.seconds * seconds), phase.requests_per_second * rate, until)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a shape's schedule as JSON; return 2, with the reason on standard error, if it cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m load_tests.shapes", description="A shape as a schedule.")
    parser.add_argument("name", help="config/shapes/NAME.yaml, or a file")
    parser.add_argument("--times-rate", type=float, default=1.0, help="multiplies the shape's rates")
    parser.add_argument("--times-seconds", type=float, default=1.0, help="multiplies the shape's seconds")
    parser.add_argument("--minutes", type=float, help="how long the shape is to take instead")
    words = vars(parser.parse_args(argv))
    try:
        schedule = named_schedule(words.pop("name"), **words)
    except ScheduleError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"phases": [asdict(phase) for phase in schedule.phases]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
