"""Where the minutes of scaling go: one row for each phase, from six sources, on one clock. Pure.

Locust knows when the load rose and what clients felt, CloudWatch when the alarms fired, Application Auto Scaling
when it decided, the containers' logs when they started and had loaded, DescribeEndpoint how many instances there
were, and the answers which instance gave them. SageMaker does not tell when it has started an instance.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.model import Model
from pipeline.verification.load import LoadResult, PhaseResult
from pipeline.verification.scaling import returned_at, scaled_out_at
from pipeline.verification.scaling_gates import ScalingRun
from pipeline.verification.starts import Starts

Kind = Literal["measured here", "model setting", "not observable"]

QUIET_SECONDS = 5  # under the limit, before another breach is another one


class Row(Model):
    """One phase. `seconds`: since the load rose, or fell for the rows after its fall; None: not seen.

    `kind`: *measured here*; or the waiting before it is mostly a *model setting* of the AWS that answered; or *not
    observable*, since no AWS tells it.
    """

    phase: str
    at: float | None
    seconds: float | None
    aws_seconds: float | None
    kind: Kind
    source: str


class Ledger(Model):
    """`time_scale`: seconds of AWS per second here; 1 on AWS itself, None where nobody said."""

    policy: str
    time_scale: float | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Moment:
    """Something that AWS says happened: epoch s, and its words."""

    at: float
    words: str

    @property
    def size(self) -> int | None:
        """The desired count that a decision set: "Setting desired instance count to 4."."""
        found = re.search(r"instance count to (\d+)", self.words)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Told:
    """What AWS told about the run, in order of time."""

    high: tuple[Moment, ...]  # the policy's alarms for too few instances went to ALARM
    low: tuple[Moment, ...]  # those for too many
    decisions: tuple[Moment, ...]
    starts: Starts = field(default_factory=Starts)

    def sizes(self, since: float) -> tuple[int, ...]:
        """The desired counts that were set since then (epoch s), in order."""
        return tuple(each.size for each in self.decisions if each.at >= since and each.size is not None)


def told(
    history: Iterable[Mapping[str, Any]], activities: Iterable[Mapping[str, Any]], starts: Starts
) -> Told:
    """Sort what DescribeAlarmHistory and DescribeScalingActivities answered; `starts`: by the containers' logs."""
    alarms = sorted(
        (
            Moment(item["Timestamp"].timestamp(), item["AlarmName"])
            for item in history
            if str(item.get("HistorySummary", "")).endswith("to ALARM")
        ),
        key=lambda moment: moment.at,
    )
    decisions = [
        Moment(activity["StartTime"].timestamp(), str(activity.get("Description", "")))
        for activity in activities
    ]
    return Told(
        high=tuple(alarm for alarm in alarms if "AlarmHigh" in alarm.words),
        low=tuple(alarm for alarm in alarms if "AlarmLow" in alarm.words),
        decisions=tuple(sorted(decisions, key=lambda moment: moment.at)),
        starts=starts,
    )


def ledger(run: ScalingRun, result: LoadResult, found: Told, *, policy: str, scale: float | None) -> Ledger:
    """Join the sources. `scale`: `time_scale` of the environment."""
    calm = result.phase("calm")
    out_at = scaled_out_at(run.samples, run.rose_at, run.instances)
    row = _rows_since(run.rose_at, scale)
    rows = [
        row("the load rose", run.rose_at, "measured here", "Locust"),
        row("p95 over the limit", run.breached_at, "measured here", "Locust"),
        row("alarm", _first(found.high, run.rose_at, calm), "model setting", "CloudWatch's alarm history"),
        row(
            "scaling decision",
            _first(found.decisions, run.rose_at, calm),
            "model setting",
            "scaling activities",
        ),
        *_start_rows(row, found.starts, result, run.rose_at, calm),
        row("more instances InService", out_at, "measured here", "DescribeEndpoint"),
        row("p95 back under the limit", run.recovered_at, "measured here", "Locust"),
    ]
    if calm is not None and run.fell_at is not None:
        row = _rows_since(run.fell_at, scale)
        back_at = returned_at(run.samples, run.fell_at, run.instances) if out_at else None
        rows += [
            row("the load fell", run.fell_at, "measured here", "Locust"),
            row(
                "alarm for too many",
                _first(found.low, run.fell_at),
                "model setting",
                "CloudWatch's alarm history",
            ),
            row(
                "scale-in begun",
                _first(found.decisions, run.fell_at),
                "model setting",
                "scaling activities",
            ),
            row("back at the minimum", back_at, "measured here", "DescribeEndpoint"),
        ]
    return Ledger(policy=policy, time_scale=scale, rows=_really(rows, scale))


def _rows_since(zero: float, scale: float | None) -> Callable[[str, float | None, Kind, str], Row]:
    def row(phase: str, at: float | None, kind: Kind, source: str) -> Row:
        seconds = None if at is None else at - zero
        aws_seconds = None if seconds is None or scale is None else seconds * scale
        return Row(phase=phase, at=at, seconds=seconds, aws_seconds=aws_seconds, kind=kind, source=source)

    return row


def _really(rows: Sequence[Row], scale: float | None) -> tuple[Row, ...]:
    """On AWS itself nothing is a model's setting."""
    if scale != 1:
        return tuple(rows)
    here = {"kind": "measured here"}
    return tuple(row.model_copy(update=here) if row.kind == "model setting" else row for row in rows)


def _first(moments: Sequence[Moment], since: float, before: PhaseResult | None = None) -> float | None:
    end = before.started if before else float("inf")
    return next((moment.at for moment in moments if since <= moment.at < end), None)


def _start_rows(
    row: Callable[[str, float | None, Kind, str], Row],
    starts: Starts,
    result: LoadResult,
    rose_at: float,
    calm: PhaseResult | None,
) -> Iterator[Row]:
    """The first new instance, from what nobody tells of it to its first answer."""
    end = calm.started if calm else float("inf")
    new = [start for start in starts.found if rose_at <= start.began_at < end]
    loaded = [start.loaded_at for start in new if start.loaded_at is not None]
    fresh = [at for at in result.first_heard.values() if at >= rose_at]
    log = starts.problem or "its container's log"
    yield row("instance started", None, "not observable", "SageMaker does not tell")
    began = min((start.began_at for start in new), default=None)
    yield row("image and weights there", began, "model setting", log)
    yield row("model loaded", min(loaded, default=None), "measured here", log)
    yield row(
        "first answer of a new instance", min(fresh, default=None), "measured here", "answers' identity"
    )


def breach(result: LoadResult, surge: PhaseResult | None, p95_ms: float) -> tuple[float | None, float | None]:
    """Return when the surge's p95 went over the limit, and when it was back: the longest such time.

    Two times over it with fewer than QUIET_SECONDS between are one. Back is the first second under it.
    """
    if surge is None:
        return None, None
    rows = [row for row in result.seconds if surge.started <= row["at"] < surge.finished and row["requests"]]
    episodes: list[list[float]] = []
    for at in (row["at"] for row in rows if row["p95_ms"] is None or row["p95_ms"] > p95_ms):
        if episodes and at - episodes[-1][-1] <= QUIET_SECONDS:
            episodes[-1].append(at)
        else:
            episodes.append([at])
    if not episodes:
        return None, None
    longest = max(episodes, key=lambda each: each[-1] - each[0])
    return longest[0], next((row["at"] for row in rows if row["at"] > longest[-1]), None)


def table(found: Ledger) -> list[str]:
    """The ledger as lines of text."""
    lines = []
    for row in found.rows:
        unseen = "–" if row.kind == "not observable" else "not seen"
        here = unseen if row.seconds is None else f"{row.seconds:7.1f} s"
        aws = "" if row.aws_seconds is None or found.time_scale == 1 else f" = {row.aws_seconds:.0f} AWS s"
        lines.append(f"{row.phase:32} {here:>10}{aws:14} {row.kind}, {row.source}")
    return lines
