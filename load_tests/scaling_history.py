"""One row a second of what the Scaling page shows: load, latency, fleet, scaling and alarms on one clock."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import boto3
import gevent
from botocore.exceptions import BotoCoreError, ClientError
from locust.env import Environment

from load_tests import fleet
from load_tests.releases_heard import ReleasesHeard
from load_tests.scaling_state import ScalingReader, ScalingState
from load_tests.session import CONTROL

SECONDS = 1.0
SCALING_SECONDS = 2.0  # CloudWatch is asked less often
KEPT = 3600  # rows: an hour
Row = dict[str, Any]


class WatchedEndpoint:
    """What AWS said last of one endpoint; `problem` is why it could not be asked, or empty."""

    def __init__(self, name: str) -> None:
        self.name, self.problem = name, ""
        self.scaling = ScalingState()
        self._control = boto3.client("sagemaker", config=CONTROL)
        self._reader, self._scaling_until = ScalingReader(name), 0.0

    def look(self) -> Row:
        """Return the fleet's row (`fleet.sample`), and read the scaling anew if it is old."""
        if time.monotonic() >= self._scaling_until:
            self._read_scaling()
        seen = fleet.sample(self._describe, time.time())
        if seen["status"] == "unreadable":
            self.problem = f"{self.name} could not be described; Locust's log has the reason"
        return seen

    def _describe(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._control.describe_endpoint(EndpointName=self.name)
        return answer

    def _read_scaling(self) -> None:
        self._scaling_until, self.problem = time.monotonic() + SCALING_SECONDS, ""
        try:
            self.scaling = self._reader.read()
        except (BotoCoreError, ClientError) as error:
            self.problem = f"the scaling of {self.name} could not be read: {error}"


class ScalingHistory:
    """The last hour, a row a second, of the endpoint under load; `offered` is the rate asked for now, 1/s."""

    def __init__(self, environment: Environment, offered: Callable[[], float]) -> None:
        self._environment, self._offered = environment, offered
        self._releases = ReleasesHeard(environment)
        self._rows: deque[Row] = deque(maxlen=KEPT)
        self._watched: WatchedEndpoint | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint under load: from the command line, or as typed into the web page."""
        return str(getattr(self._environment.parsed_options, "endpoint", "") or "")

    @property
    def problem(self) -> str:
        """Why AWS could not be read the last time, or empty."""
        return "" if self._watched is None else self._watched.problem

    def after(self, at: float) -> list[Row]:
        """Return the rows younger than `at` (epoch s)."""
        return [row for row in self._rows if row["at"] > at]

    def watch(self) -> None:
        """Add a row every second, for ever: run it in a greenlet and kill that."""
        while True:
            if self.endpoint:
                self._rows.append(self._row(self._follow()))
            gevent.sleep(SECONDS)

    def _follow(self) -> WatchedEndpoint:
        """Turn to the endpoint that is named now; another one's history is forgotten."""
        if self._watched is None or self._watched.name != self.endpoint:
            self._rows.clear()
            self._watched = WatchedEndpoint(self.endpoint)
        return self._watched

    def _row(self, watched: WatchedEndpoint) -> Row:
        seen, tracked = watched.look(), watched.scaling.tracked
        return {
            **seen,
            **self._load(),
            "releases": self._releases.take(),
            "alarms": dict(watched.scaling.alarms),
            "metric": tracked and tracked.metric,
            "tracked": tracked and tracked.value,
            "target": tracked and tracked.target,
        }

    def _load(self) -> Row:
        """Locust's own figures, of all its workers: rates of the last seconds, percentiles of the last ten."""
        if self._environment.runner.state not in ("spawning", "running"):
            return {
                "offered": 0.0,
                "served": 0.0,
                "failed": 0.0,
                "p50_ms": None,
                "p95_ms": None,
                "p99_ms": None,
            }
        total = self._environment.stats.total
        percentiles = {
            f"p{percent}_ms": total.get_current_response_time_percentile(percent / 100)
            for percent in (50, 95, 99)
        }
        failed = total.current_fail_per_sec
        return {
            "offered": self._offered(), "served": total.current_rps - failed, "failed": failed, **percentiles
        }  # fmt: skip
