"""Clients that keep posting to an endpoint while it is being changed, so that a lost request is seen."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearsal.commands import stop
from rehearsal.machine import ROOT, RehearsalError

REQUESTS_PER_SECOND = 5
LONGEST_SECONDS = 3600  # the clients stop by themselves even if nobody stops them
NEVER = str(10**9)  # answers are not compared with golden ones: the release changes under these clients


@contextlib.contextmanager
def clients(endpoints: list[str], payloads: Path, build: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Post the golden inputs to each endpoint at a steady rate until the block ends.

    Leaves BUILD/traffic-<endpoint>.json (the load test's result format) for each endpoint.
    """
    schedule = build / "traffic-schedule.json"
    phase = {"name": "clients", "seconds": LONGEST_SECONDS, "requests_per_second": REQUESTS_PER_SECOND}
    schedule.write_text(json.dumps({"phases": [phase], "stop_when_saturated": False}))
    started: list[subprocess.Popen[str]] = []
    try:
        started.extend(_start(endpoint, payloads, schedule, build, environ) for endpoint in endpoints)
        yield
    finally:
        for process in started:
            stop(process)


def _start(
    endpoint: str, payloads: Path, schedule: Path, build: Path, environ: Mapping[str, str]
) -> subprocess.Popen[str]:
    result = result_file(build, endpoint)
    result.unlink(missing_ok=True)
    log = (build / f"traffic-{endpoint}.log").open("w")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless", "--endpoint", endpoint,
             "--payloads", str(payloads), "--check-every", NEVER, "--schedule", str(schedule), "--result", str(result),
             "--exit-code-on-error", "0"],
            cwd=ROOT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


def result_file(build: Path, endpoint: str) -> Path:
    return build / f"traffic-{endpoint}.json"


def read_result(build: Path, endpoint: str) -> dict[str, Any]:
    """What the clients of an endpoint saw; RehearsalError when they left no result."""
    path = result_file(build, endpoint)
    if not path.is_file():
        raise RehearsalError(
            f"The clients of {endpoint} left no result.", fix=f"Read {build}/traffic-{endpoint}.log."
        )
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def totals(result: Mapping[str, Any]) -> tuple[int, int]:
    """Requests and failures over the whole result."""
    phases = result["phases"]
    return sum(phase["requests"] for phase in phases), sum(phase["failures"] for phase in phases)
