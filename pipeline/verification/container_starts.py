"""The starts of an endpoint's containers, and the times at which their models were loaded, from their logs.

CloudWatch Logs has a stream for each instance. Its first line means that image and weights are on the instance: the
container begins with both. The container of this project logs when its model is loaded; another one need not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.deployment.diagnosis import ReadsLogs
from pipeline.errors import AwsRefused

LOADED = "serve: the model is loaded"
CLOCKS_DIFFER_SECONDS = 60
STREAMS, LINES = 20, 100  # at most so many are read, and of each so many lines, from its first on


@dataclass(frozen=True)
class ContainerStart:
    """One container's start, epoch seconds. `loaded_at` None: it has not logged it."""

    began_at: float
    loaded_at: float | None


@dataclass(frozen=True)
class ContainerStarts:
    """The starts that were found, oldest first; `problem`: why the logs could not be read."""

    found: tuple[ContainerStart, ...] = ()
    problem: str | None = None


def read_container_starts(endpoint: str, variant: str, aws: ReadsLogs, since: float) -> ContainerStarts:
    """Read the logs of the containers that began since then (epoch seconds).

    If the logs cannot be read, `problem` says why, and the load test goes on.
    """
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    which = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True}
    oldest = (since - CLOCKS_DIFFER_SECONDS) * 1000
    try:
        streams = (aws.find("logs", "describe_log_streams", **which) or {}).get("logStreams", [])
        names = [
            each["logStreamName"]
            for each in streams
            if each["creationTime"] >= oldest and each["logStreamName"].startswith(f"{variant}/")
        ]
        found = [start for name in names[:STREAMS] for start in _start(group, name, aws)]
    except AwsRefused as error:
        return ContainerStarts(problem=f"{group} could not be read: {error.code}")
    began = sorted(found, key=lambda start: start.began_at)
    return ContainerStarts(tuple(start for start in began if start.began_at >= since))


def _start(group: str, stream: str, aws: ReadsLogs) -> Iterator[ContainerStart]:
    which = {"logGroupName": group, "logStreamName": stream, "startFromHead": True, "limit": LINES}
    yield from start_of(aws.read("logs", "get_log_events", **which)["events"])


def start_of(events: Sequence[Mapping[str, Any]]) -> Iterator[ContainerStart]:
    """Yield the start in a stream's first lines; nothing where there is no line yet."""
    if events:
        loaded = (each["timestamp"] / 1000 for each in events if each["message"].strip() == LOADED)
        yield ContainerStart(events[0]["timestamp"] / 1000, next(loaded, None))
