"""The rows of the Scaling page, one a second: load, latency, fleet, scaling and alarms on one clock."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import boto3
import gevent
from botocore.exceptions import BotoCoreError, ClientError
from locust.env import Environment

from load_tests import fleet
from load_tests.release_counter import ReleaseCounter
from load_tests.scaling_state import ScalingReader, ScalingState
from load_tests.session import CONTROL_PLANE

SECONDS = 1.0
SCALING_SECONDS = 2.0  # CloudWatch is asked less often
KEPT = 3600  # rows: an hour
Row = dict[str, Any]


class EndpointPoller:
    """The latest state of one endpoint on AWS; `problem` is the reason why it could not be read, or empty."""

    def __init__(self, name: str) -> None:
        self.name, self.problem = name, ""
        self.scaling = ScalingState()
        self._sagemaker = boto3.client("sagemaker", config=CONTROL_PLANE)
        self._reader, self._scaling_valid_until = ScalingReader(name), 0.0

    def poll(self) -> Row:
        """Return the fleet's row (`fleet.sample`), and refresh the scaling state if it is older than SCALING_SECONDS."""
        if time.monotonic() >= self._scaling_valid_until:
            self._read_scaling()
        row = fleet.sample(self._describe, time.time())
        if row["status"] == "unreadable":
            self.problem = f"{self.name} could not be described; Locust's log has the reason"
        return row

    def _describe(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._sagemaker.describe_endpoint(EndpointName=self.name)
        return answer

    def _read_scaling(self) -> None:
        self._scaling_valid_until, self.problem = time.monotonic() + SCALING_SECONDS, ""
        try:
            self.scaling = self._reader.read()
        except (BotoCoreError, ClientError) as error:
            self.problem = f"the scaling of {self.name} could not be read: {error}"


class ScalingHistory:
    """The last hour of the endpoint under load, one row a second; `offered` returns the present rate, 1/s."""

    def __init__(self, environment: Environment, offered: Callable[[], float]) -> None:
        self._environment, self._offered = environment, offered
        self._releases = ReleaseCounter(environment)
        self._rows: deque[Row] = deque(maxlen=KEPT)
        self._poller: EndpointPoller | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint under load: from the command line, or as typed into the web page."""
        return str(getattr(self._environment.parsed_options, "endpoint", "") or "")

    @property
    def problem(self) -> str:
        """The reason why AWS could not be read the last time, or empty."""
        return "" if self._poller is None else self._poller.problem

    def after(self, at: float) -> list[Row]:
        """Return the rows younger than `at` (epoch s)."""
        return [row for row in self._rows if row["at"] > at]

    def record(self) -> None:
        """Add a row every second without end: run this in a greenlet and kill the greenlet."""
        while True:
            if self.endpoint:
                self._rows.append(self._row(self._current_poller()))
            gevent.sleep(SECONDS)

    def _current_poller(self) -> EndpointPoller:
        """Return the poller of the endpoint that is named now; the rows of another endpoint are dropped."""
        if self._poller is None or self._poller.name != self.endpoint:
            self._rows.clear()
            self._poller = EndpointPoller(self.endpoint)
        return self._poller

    def _row(self, poller: EndpointPoller) -> Row:
        fleet_row, tracked = poller.poll(), poller.scaling.tracked
        return {
            **fleet_row,
            **self._load(),
            "releases": self._releases.take(),
            "alarms": dict(poller.scaling.alarms),
            "metric": tracked and tracked.metric,
            "tracked": tracked and tracked.value,
            "target": tracked and tracked.target,
        }

    def _load(self) -> Row:
        """Return Locust's own figures over all workers: rates of the last seconds, percentiles of the last ten."""
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
