"""The timeline of one scale-out and scale-in: one row for each phase, from six sources, on one clock. Pure.

Locust records when the load rose and which latencies clients had, CloudWatch when the alarms fired, Application Auto
Scaling when it decided, the containers' logs when they started and had loaded, DescribeEndpoint how many instances
there were, and the answers which instance gave them. SageMaker does not publish when it has started an instance.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.model import Model
from pipeline.verification.container_starts import ContainerStarts
from pipeline.verification.load import LoadResult, PhaseResult
from pipeline.verification.scaling import returned_at, scaled_out_at
from pipeline.verification.scaling_gates import ScalingRun

Kind = Literal["measured here", "model setting", "not observable"]

QUIET_SECONDS = 5  # under the limit; shorter gaps join two breaches into one


class TimelineRow(Model):
    """One phase. `seconds`: since the load rose, or fell for the rows after its fall; None: not observed.

    `kind`: *measured here*; *model setting*: the wait before it is mostly a setting of the simulated AWS; *not
    observable*: no AWS publishes it.
    """

    phase: str
    at: float | None
    seconds: float | None
    aws_seconds: float | None
    kind: Kind
    source: str


class ScalingTimeline(Model):
    """All phases. `time_scale`: seconds of AWS per second here; 1 on AWS itself, None where it is not known."""

    policy: str
    time_scale: float | None
    rows: tuple[TimelineRow, ...]


@dataclass(frozen=True)
class ScalingEvent:
    """An alarm or a scaling activity: epoch seconds, and AWS's description."""

    at: float
    description: str

    @property
    def size(self) -> int | None:
        """Return the desired count that a decision set: "Setting desired instance count to 4."."""
        found = re.search(r"instance count to (\d+)", self.description)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class ScalingEvents:
    """The alarms, decisions and container starts of one run, each in order of time."""

    high: tuple[ScalingEvent, ...]  # the policy's alarms for too few instances went to ALARM
    low: tuple[ScalingEvent, ...]  # those for too many
    decisions: tuple[ScalingEvent, ...]
    starts: ContainerStarts = field(default_factory=ContainerStarts)

    def sizes(self, since: float) -> tuple[int, ...]:
        """Return the desired counts that were set since then (epoch seconds), in order."""
        return tuple(each.size for each in self.decisions if each.at >= since and each.size is not None)


def scaling_events(
    history: Iterable[Mapping[str, Any]], activities: Iterable[Mapping[str, Any]], starts: ContainerStarts
) -> ScalingEvents:
    """Sort the answers of DescribeAlarmHistory and DescribeScalingActivities; `starts`: from the containers' logs."""
    alarms = sorted(
        (
            ScalingEvent(item["Timestamp"].timestamp(), item["AlarmName"])
            for item in history
            if str(item.get("HistorySummary", "")).endswith("to ALARM")
        ),
        key=lambda event: event.at,
    )
    decisions = [
        ScalingEvent(activity["StartTime"].timestamp(), str(activity.get("Description", "")))
        for activity in activities
    ]
    return ScalingEvents(
        high=tuple(alarm for alarm in alarms if "AlarmHigh" in alarm.description),
        low=tuple(alarm for alarm in alarms if "AlarmLow" in alarm.description),
        decisions=tuple(sorted(decisions, key=lambda event: event.at)),
        starts=starts,
    )


def make_timeline(
    scaling: ScalingRun, result: LoadResult, events: ScalingEvents, *, policy: str, scale: float | None
) -> ScalingTimeline:
    """Join the sources. `scale`: `time_scale` of the environment."""
    calm = result.phase("calm")
    out_at = scaled_out_at(scaling.samples, scaling.rose_at, scaling.instances)
    rows = [*_rise_rows(scaling, result, events, out_at, _rows_since(scaling.rose_at, scale))]
    if calm is not None and scaling.fell_at is not None:
        back_at = returned_at(scaling.samples, scaling.fell_at, scaling.instances) if out_at else None
        rows += _fall_rows(scaling.fell_at, events, back_at, _rows_since(scaling.fell_at, scale))
    return ScalingTimeline(policy=policy, time_scale=scale, rows=_without_settings_of_aws(rows, scale))


MakeRow = Callable[[str, float | None, Kind, str], TimelineRow]


def _rise_rows(
    scaling: ScalingRun, result: LoadResult, events: ScalingEvents, out_at: float | None, row: MakeRow
) -> Iterator[TimelineRow]:
    rose_at, calm = scaling.rose_at, result.phase("calm")
    yield row("the load rose", rose_at, "measured here", "Locust")
    yield row("p95 over the limit", scaling.breached_at, "measured here", "Locust")
    alarm, decision = _first(events.high, rose_at, calm), _first(events.decisions, rose_at, calm)
    yield row("alarm", alarm, "model setting", "CloudWatch's alarm history")
    yield row("scaling decision", decision, "model setting", "scaling activities")
    yield from _start_rows(row, events.starts, result, rose_at)
    yield row("more instances InService", out_at, "measured here", "DescribeEndpoint")
    yield row("p95 back under the limit", scaling.recovered_at, "measured here", "Locust")


def _fall_rows(
    fell_at: float, events: ScalingEvents, back_at: float | None, row: MakeRow
) -> Iterator[TimelineRow]:
    alarm, decision = _first(events.low, fell_at), _first(events.decisions, fell_at)
    yield row("the load fell", fell_at, "measured here", "Locust")
    yield row("alarm for too many", alarm, "model setting", "CloudWatch's alarm history")
    yield row("scale-in begun", decision, "model setting", "scaling activities")
    yield row("back at the minimum", back_at, "measured here", "DescribeEndpoint")


def _rows_since(zero: float, scale: float | None) -> MakeRow:
    def row(phase: str, at: float | None, kind: Kind, source: str) -> TimelineRow:
        seconds = None if at is None else at - zero
        aws_seconds = None if seconds is None or scale is None else seconds * scale
        return TimelineRow(
            phase=phase, at=at, seconds=seconds, aws_seconds=aws_seconds, kind=kind, source=source
        )

    return row


def _without_settings_of_aws(rows: Sequence[TimelineRow], scale: float | None) -> tuple[TimelineRow, ...]:
    """Call every observed row measured where AWS itself answered: it is no setting there."""
    if scale != 1:
        return tuple(rows)
    here = {"kind": "measured here"}
    return tuple(row.model_copy(update=here) if row.kind == "model setting" else row for row in rows)


def _first(events: Sequence[ScalingEvent], since: float, before: PhaseResult | None = None) -> float | None:
    end = before.started if before else float("inf")
    return next((event.at for event in events if since <= event.at < end), None)


def _start_rows(
    row: MakeRow, starts: ContainerStarts, result: LoadResult, rose_at: float
) -> Iterator[TimelineRow]:
    """Yield the rows of the first new instance, from its start to its first answer."""
    calm = result.phase("calm")
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
    """Return the begin and the end of the longest time in which the surge's p95 was over the limit.

    Two such times with fewer than QUIET_SECONDS between them are one. The end is the first second under the limit.
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


def table_of(timeline: ScalingTimeline) -> list[str]:
    """Return the timeline as lines of text."""
    lines = []
    for row in timeline.rows:
        unseen = "–" if row.kind == "not observable" else "not seen"
        here = unseen if row.seconds is None else f"{row.seconds:7.1f} s"
        aws = "" if row.aws_seconds is None or timeline.time_scale == 1 else f" = {row.aws_seconds:.0f} AWS s"
        lines.append(f"{row.phase:32} {here:>10}{aws:14} {row.kind}, {row.source}")
    return lines
