"""Background clients: they send requests while the endpoints change, so that every lost request is counted."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearsal.commands import stop
from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

MAX_SECONDS = 3600  # the clients stop by themselves, even if the rehearsal is killed
NO_CHECKS = "0"  # no answer is compared with the golden one, since the release changes under these clients


@contextlib.contextmanager
def background_clients(
    endpoints: list[str],
    payloads: Path,
    build: Path,
    environ: Mapping[str, str],
    requests_per_second: float,
) -> Iterator[None]:
    """Send the golden requests to each endpoint at a steady rate until the block ends.

    `payloads`: a golden set, or a file with one body on each line. Writes BUILD/traffic-<endpoint>.json (the load
    test's result format) for each endpoint.
    """
    schedule = build / "traffic-schedule.json"
    phase = {"name": "clients", "seconds": MAX_SECONDS, "requests_per_second": requests_per_second}
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
             "--payloads", str(payloads), "--check-every", NO_CHECKS, "--schedule", str(schedule), "--result", str(result),
             "--exit-code-on-error", "0"],
            cwd=ROOT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


def result_file(build: Path, endpoint: str) -> Path:
    """Return the path of the result of an endpoint's clients."""
    return build / f"traffic-{endpoint}.json"


def read_result(build: Path, endpoint: str) -> dict[str, Any]:
    """Read the result of an endpoint's clients. Raises RehearsalError when they wrote none."""
    path = result_file(build, endpoint)
    if not path.is_file():
        raise RehearsalError(
            f"The clients of {endpoint} wrote no result.", fix=f"Read {build}/traffic-{endpoint}.log."
        )
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def totals(result: Mapping[str, Any]) -> tuple[int, int]:
    """Return requests and failures over all phases."""
    phases = result["phases"]
    return sum(phase["requests"] for phase in phases), sum(phase["failures"] for phase in phases)
