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
    endpoint: str, payloads: Path, build: Path, environ: Mapping[str, str], requests_per_second: float
) -> Iterator[None]:
    """Send the golden requests to an endpoint at a steady rate until the block ends.

    `payloads`: a golden set, or a file with one body on each line. Writes BUILD/traffic-<endpoint>.json (the load
    test's result format).
    """
    schedule = build / f"traffic-{endpoint}.schedule"
    phase = {"name": "clients", "seconds": MAX_SECONDS, "requests_per_second": requests_per_second}
    schedule.write_text(json.dumps({"phases": [phase], "stop_when_saturated": False}))
    result = result_file(build, endpoint)
    result.unlink(missing_ok=True)
    with (build / f"traffic-{endpoint}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless", "--endpoint", endpoint,
             "--payloads", str(payloads), "--check-every", NO_CHECKS, "--schedule", str(schedule), "--result", str(result),
             "--exit-code-on-error", "0"],
            cwd=ROOT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        yield
    finally:
        stop(process)


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
