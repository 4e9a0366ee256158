"""Schedules: phases of load at a rate, and the condition that ends a saturated run early."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVED_SHARE = 0.8  # of the offered rate; below it the endpoint or the generator is saturated


@dataclass(frozen=True, kw_only=True)
class Phase:
    """`requests_per_second` for `seconds`, or rising or falling evenly to `until`. A rate of 0 is a pause."""

    name: str
    seconds: float
    requests_per_second: float
    until: float | None = None

    @property
    def offered(self) -> float:
        """Requests per second over the whole phase."""
        last = self.requests_per_second if self.until is None else self.until
        return (self.requests_per_second + last) / 2

    def starts(self) -> Iterator[float]:
        """Yield the due time of each request, in seconds from the start of the phase, spaced by the rate."""
        first, slope = self.requests_per_second, 0.0
        if self.until is not None:
            slope = (self.until - first) / (2 * self.seconds)
        for number in range(math.floor(self.offered * self.seconds + 0.5 + 1e-9)):
            due = number + 0.5  # the integral of the rate
            yield 2 * due / (first + math.sqrt(max(first * first + 4 * slope * due, 0.0)))


@dataclass(frozen=True, kw_only=True)
class Slo:
    """Limits that a phase must keep to count as served."""

    p99_ms: float
    error_percent: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The phases of a run in order. `stop_when_saturated`: end after a phase that the endpoint did not serve."""

    phases: tuple[Phase, ...]
    stop_when_saturated: bool = False
    slo: Slo | None = None  # with stop_when_saturated: a phase that broke this ends the run, too


class ScheduleError(ValueError):
    """A schedule or shape cannot be used; the message names the file and the problem."""


def read_schedule(path: Path) -> Schedule:
    """Read a schedule file: {"phases": [{"name", "seconds", "requests_per_second", "until"?}], "stop_when_saturated"}."""
    try:
        return parse_schedule(json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise ScheduleError(f"{path} is not JSON: {error}") from error
    except (KeyError, TypeError, ScheduleError) as error:
        raise ScheduleError(f"{path}: {error}") from error


def parse_schedule(document: Mapping[str, Any]) -> Schedule:
    """Check and build a schedule. Raises ScheduleError, KeyError or TypeError for what is missing or wrong."""
    phases = tuple(
        Phase(
            name=str(phase["name"]),
            seconds=float(phase["seconds"]),
            requests_per_second=float(phase["requests_per_second"]),
            until=None if phase.get("until") is None else float(phase["until"]),
        )
        for phase in document["phases"]
    )
    if problems := list(_problems(phases)):
        raise ScheduleError("; ".join(problems))
    slo = document.get("slo")
    return Schedule(
        phases=phases,
        stop_when_saturated=bool(document.get("stop_when_saturated", False)),
        slo=None
        if slo is None
        else Slo(p99_ms=float(slo["p99_ms"]), error_percent=float(slo["error_percent"])),
    )


def _problems(phases: Sequence[Phase]) -> list[str]:
    found = [] if phases else ["there is no phase"]
    for phase in phases:
        if not phase.seconds >= 1:
            found.append(f"phase {phase.name!r} lasts {phase.seconds:g} s; a phase takes at least 1 s")
        if not 0 <= phase.requests_per_second < math.inf:
            found.append(f"phase {phase.name!r} offers {phase.requests_per_second:g} requests/s")
        if phase.until is not None and not 0 <= phase.until < math.inf:
            found.append(f"phase {phase.name!r} goes to {phase.until:g} requests/s")
    if len({phase.name for phase in phases}) < len(phases):
        found.append("two phases have the same name")
    return found


def is_saturated(
    schedule: Schedule, *, offered: float, achieved: float, p99_ms: float | None, error_percent: float
) -> bool:
    """Return True when the phase just measured shows that a higher rate is pointless."""
    if not schedule.stop_when_saturated:
        return False
    if achieved < SERVED_SHARE * offered:
        return True
    slo = schedule.slo
    return slo is not None and (p99_ms is None or p99_ms > slo.p99_ms or error_percent > slo.error_percent)
