"""When the containers of an endpoint started, and when their model was loaded, by what they wrote themselves.

CloudWatch Logs has a stream for each instance. Its first line says that image and weights are on the instance: the
container begins with both. The container of this project says when its model is loaded; another one need not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.errors import AwsRefused

LOADED = "serve: the model is loaded"
CLOCKS_DIFFER_SECONDS = 60
STREAMS, LINES = 20, 100  # at most so many are read, and of each so many lines, from its first on


@dataclass(frozen=True)
class ContainerStart:
    """One container's start, epoch s. `loaded_at` None: it has not said so."""

    began_at: float
    loaded_at: float | None


@dataclass(frozen=True)
class Starts:
    """Those that were found, oldest first; `problem`: why the logs could not be read."""

    found: tuple[ContainerStart, ...] = ()
    problem: str | None = None


class LogDoor(Protocol):
    """What reading logs needs of AWS."""

    def find(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None: ...
    def read(self, service: str, operation: str, **params: Any) -> dict[str, Any]: ...


def read_starts(endpoint: str, variant: str, aws: LogDoor, since: float) -> Starts:
    """Read the logs of the containers that began since then (epoch s).

    Logs that may not be read are no reason to break a load test off: `problem` says so.
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
        return Starts(problem=f"{group} could not be read: {error.code}")
    began = sorted(found, key=lambda start: start.began_at)
    return Starts(tuple(start for start in began if start.began_at >= since))


def _start(group: str, stream: str, aws: LogDoor) -> Iterator[ContainerStart]:
    which = {"logGroupName": group, "logStreamName": stream, "startFromHead": True, "limit": LINES}
    yield from start_of(aws.read("logs", "get_log_events", **which)["events"])


def start_of(events: Sequence[Mapping[str, Any]]) -> Iterator[ContainerStart]:
    """Yield the start that a stream's first lines tell of; nothing where there is no line yet."""
    if events:
        loaded = (each["timestamp"] / 1000 for each in events if each["message"].strip() == LOADED)
        yield ContainerStart(events[0]["timestamp"] / 1000, next(loaded, None))
