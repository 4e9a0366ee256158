"""Run the load tests as their own program, bounded in time, and read what they recorded."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipeline.errors import LoadTestBroken
from pipeline.model import Model

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 90.0  # Locust starts, and waits up to 65 s for answers in flight


@dataclass(frozen=True)
class Phase:
    """One phase of a load test: a constant rate, or one that changes evenly `until` another."""

    name: str
    seconds: float
    requests_per_second: float
    until: float | None = None


class PhaseResult(Model):
    """One phase as it was. Latencies are of successful requests, in ms from when each was due.

    `invalid`: why the generator could not offer the load; such a phase does not measure the endpoint.
    """

    name: str
    offered_rps: float
    started: float
    finished: float
    requests: int
    failures: int
    slow: int | None  # successful answers over the schedule's SLO, if it has one
    achieved_rps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    generator_cpu_percent: float
    lag_p99_ms: float | None
    invalid: str | None
    errors: dict[str, int]

    @property
    def seconds(self) -> float:
        return self.finished - self.started

    @property
    def error_percent(self) -> float | None:
        return 100 * self.failures / self.requests if self.requests else None


class Fleet(Model):
    """One fleet of the endpoint: the live one, or the one that a deployment is putting in its place."""

    config: str
    current: int
    desired: int


class FleetRow(Model):
    """One look at the endpoint's fleets, at epoch seconds."""

    at: float
    status: str
    config: str | None
    current: int | None
    desired: int | None
    pending: Fleet | None


class Side(Model):
    """One of two compared endpoints in one second; latencies in ms of successful requests."""

    requests: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None


class Slice(Model):
    """Some seconds in which both endpoints were sent requests. `lag_p95_ms`: how late the generator was."""

    at: int
    lag_p95_ms: float
    candidate: Side
    baseline: Side


class Compared(Model):
    """A load of which every other request went to the endpoint `against`."""

    against: str
    slices: tuple[Slice, ...]


class LoadResult(Model):
    """The content of result.json. `note`: what a report must say of the requests; empty if there is nothing to say."""

    schema_version: Literal[1] = Field(validation_alias="schema", serialization_alias="schema")
    endpoint: str
    started: float | None
    finished: float | None
    phases: tuple[PhaseResult, ...]
    seconds: tuple[dict[str, Any], ...]
    fleet: tuple[FleetRow, ...]
    first_answers: dict[str, float]  # instance → epoch s of its first answer
    identities: dict[str, dict[str, int]]
    compared: Compared | None = None
    note: str = ""

    def phase(self, name: str) -> PhaseResult | None:
        return next((phase for phase in self.phases if phase.name == name), None)


@dataclass
class RunningLoad:
    """A load test under way. `report` logs its progress."""

    process: subprocess.Popen[bytes]
    result: Path
    log: Path
    _reported: int = 0

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def next_phase(self) -> None:
        """Begin the next phase of the schedule now."""
        if self.is_running:
            self.process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End the run now; the measurements are kept."""
        if self.is_running:
            self.process.send_signal(signal.SIGINT)

    def report(self) -> list[str]:
        """Log each phase that has ended since the last call; return the names of all that have ended."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("phase ")]
        phases = [line.removeprefix("phase ") for line in lines]
        for line in phases[self._reported :]:
            log.info(f"  {line}")
        self._reported = len(phases)
        return [line.split(":")[0] for line in phases]

    def read(self) -> LoadResult:
        """Return the result. Raises LoadTestBroken, with the last lines of the log, when there is none."""
        try:
            return LoadResult.model_validate_json(self.result.read_text())
        except (OSError, ValidationError) as error:
            tail = "\n".join(self.log.read_text().splitlines()[-15:])
            raise LoadTestBroken(
                f"The load test left no result in {self.result} (exit code {self.process.poll()}):\n{tail}",
                fix=f"Read {self.log}; the lines above are its last.",
            ) from error


@contextmanager
def start_load(
    endpoint: str,
    payloads: Path | str,
    phases: Sequence[Phase],
    out: Path,
    *,
    schedule: dict[str, Any] | None = None,
    against: str = "",
    workers: int = 1,
) -> Iterator[RunningLoad]:
    """Start a load test whose result becomes `out`; the process is always ended afterwards.

    `against`: an endpoint that gets every other request. `workers`: processes that share the load.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    plan, log = out.with_suffix(".schedule"), out.with_suffix(".log")
    plan.write_text(json.dumps({"phases": [vars(phase) for phase in phases], **(schedule or {})}))
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless"]
    command += ["--only-summary", "--exit-code-on-error", "0", "--endpoint", endpoint]
    command += ["--payloads", _source(payloads), "--schedule", str(plan), "--result", str(out)]
    command += ["--against", against] if against else []
    command += ["--processes", str(workers)] if workers > 1 else []
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield RunningLoad(process, out, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _source(payloads: Path | str) -> str:
    """Return the absolute path of the payloads: a file, or FILE.py:FUNCTION."""
    path, colon, function = str(payloads).partition(".py:")
    return f"{Path(path).resolve()}{colon}{function}"


def run_load(
    endpoint: str,
    payloads: Path | str,
    phases: Sequence[Phase],
    out: Path,
    *,
    slo: dict[str, float] | None = None,
    against: str = "",
    workers: int = 1,
) -> LoadResult:
    """Run all phases to their end; with an `slo`, end after the first phase that broke it.

    `against` and `workers` as for `start_load`.
    """
    schedule: dict[str, Any] = {"stop_when_saturated": True, "slo": slo} if slo else {}
    running = start_load(endpoint, payloads, phases, out, schedule=schedule, against=against, workers=workers)
    with running as load:
        wait_for_end(load, sum(phase.seconds for phase in phases) + GRACE_SECONDS)
        return load.read()


def wait_for_end(load: RunningLoad, seconds: float) -> None:
    """Wait until the load test has ended. Raises LoadTestBroken after `seconds`."""
    waited = 0.0
    while load.is_running:
        try:
            load.process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            waited += 0.5
        load.report()
        if waited > seconds:
            raise LoadTestBroken(
                f"The load test still runs after {seconds:.0f} s.", fix=f"Read {load.log}; try it again."
            )
    load.report()
