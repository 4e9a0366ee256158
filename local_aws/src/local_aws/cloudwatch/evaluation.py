"""Alarm evaluation: a pure function from datapoints to a state and its reason.

As the CloudWatch guide describes it: the last N datapoints that exist within the evaluation range decide; only
where there are fewer than N does the treatment of missing data fill the gap. The range is N and two more
periods: the guide's examples show five for N = 3; the general rule is not documented.
"""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

EXTRA_PERIODS = 2

OPERATORS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True)
class Threshold:
    """M (`datapoints_to_alarm`) of N (`evaluation_periods`) datapoints must breach `value`."""

    comparison: str
    value: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: str = "missing"

    def is_breached_by(self, value: float) -> bool:
        """Compare one datapoint."""
        return OPERATORS[self.comparison][0](value, self.value)


@dataclass(frozen=True)
class Datapoint:
    """One complete period: its start (epoch seconds) and its value, None without data."""

    at: float
    value: float | None


@dataclass(frozen=True)
class Judgement:
    """The new state of an alarm, the reason, and the datapoints that decided (newest first)."""

    state: str
    reason: str
    evaluated: tuple[Datapoint, ...] = ()


def judge(threshold: Threshold, points: Sequence[Datapoint], current: str) -> Judgement:
    """Decide the state from the evaluation range, oldest datapoint first.

    `points` has N + EXTRA_PERIODS elements; `current` is the state now, kept where the datapoints decide nothing.
    """
    known = [point for point in reversed(points) if point.value is not None]
    evaluated = tuple(known[: threshold.evaluation_periods])
    filled = threshold.evaluation_periods - len(evaluated)
    breaching = sum(threshold.is_breached_by(point.value or 0.0) for point in evaluated)
    if breaching >= threshold.datapoints_to_alarm:
        return _crossed("ALARM", threshold, evaluated, filled)
    if filled == 0:
        return _crossed("OK", threshold, evaluated, 0)
    match threshold.missing_data:
        case "breaching":
            alarm = breaching + filled >= threshold.datapoints_to_alarm
            return _crossed("ALARM" if alarm else "OK", threshold, evaluated, filled)
        case "notBreaching":
            return _crossed("OK", threshold, evaluated, filled)
    if breaching < len(evaluated):
        return _crossed("OK", threshold, evaluated, 0)
    if threshold.missing_data == "ignore":
        return Judgement(current, "", evaluated)
    return _judge_sparse(threshold, points, evaluated, current)


def _judge_sparse(
    threshold: Threshold, points: Sequence[Datapoint], evaluated: tuple[Datapoint, ...], current: str
) -> Judgement:
    """Judge missing data treated as missing, when every existing datapoint breaches.

    ALARM once the oldest of them is M periods old; until then the state stays, as the guide's rule against
    premature alarms has it.
    """
    if not evaluated:
        count = threshold.evaluation_periods
        text = "1 datapoint was unknown" if count == 1 else f"{count} datapoints were unknown"
        return Judgement("INSUFFICIENT_DATA", f"Insufficient Data: {text}.")
    age = len(points) - points.index(evaluated[-1])
    if age >= threshold.datapoints_to_alarm:
        return _crossed("ALARM", threshold, evaluated, 0)
    return Judgement(current, "", evaluated)


def _crossed(state: str, threshold: Threshold, evaluated: tuple[Datapoint, ...], filled: int) -> Judgement:
    alarm = state == "ALARM"
    telling = [p for p in evaluated if threshold.is_breached_by(p.value or 0.0) == alarm]
    if telling:
        return Judgement(state, _crossed_reason(alarm, threshold, telling, len(evaluated), filled), evaluated)
    silence = "" if evaluated else f"no datapoints were received for {_count(filled, 'period')} and "
    return Judgement(state, f"Threshold Crossed: {silence}{_treated(alarm, filled)}.", evaluated)


def _crossed_reason(
    alarm: bool, threshold: Threshold, telling: Sequence[Datapoint], evaluated: int, filled: int
) -> str:
    shown = ", ".join(f"{point.value} ({_day(point.at)})" for point in telling)
    needed, change = threshold.datapoints_to_alarm, "OK -> ALARM"
    if not alarm:
        needed, change = threshold.evaluation_periods - needed + 1, "ALARM -> OK"
    missing = ""
    if filled and threshold.missing_data in ("breaching", "notBreaching"):
        missing = f", and {_treated(threshold.missing_data == 'breaching', filled)}"
    return (
        f"Threshold Crossed: {len(telling)} out of the last {_count(evaluated, 'datapoint')} [{shown}] "
        f"{_was(len(telling))} {'' if alarm else 'not '}{OPERATORS[threshold.comparison][1]} the threshold "
        f"({threshold.value}){missing} (minimum {_count(needed, 'datapoint')} for {change} transition)."
    )


def _treated(breaching: bool, filled: int) -> str:
    treated = "Breaching" if breaching else "NonBreaching"
    return f"{_count(filled, 'missing datapoint')} {_was(filled)} treated as [{treated}]"


def reason_data(
    judgement: Judgement, threshold: Threshold, *, statistic: str, period: int, now: float
) -> str:
    """Encode the decision as the JSON of `StateReasonData`."""
    points = judgement.evaluated
    data: dict[str, object] = {
        "version": "1.0",
        "queryDate": _iso(now),
        "statistic": statistic,
        "period": period,
        "recentDatapoints": [point.value for point in reversed(points)],
        "threshold": threshold.value,
        "evaluatedDatapoints": [{"timestamp": _iso(p.at), "value": p.value} for p in points],
    }
    if points:
        data["startDate"] = _iso(points[-1].at)
    return json.dumps(data)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d/%m/%y %H:%M:%S")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
