"""One trial of one server: start it, check its answer, measure it at each concurrency, end it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.comparison.background_load import Snapshot, background_cpu_share, snapshot
from benchmarks.comparison.environments import python_for
from benchmarks.comparison.load import Measurement, drive
from benchmarks.comparison.running import NotServing, free_port, started, wait_for_correct_answer
from benchmarks.comparison.servers import Server
from benchmarks.comparison.workloads import Workload
from benchmarks.comparison.workspace import PROGRAMS, Workspace

WARM_UP_SECONDS = 1
WARM_UP_CONCURRENCY = 8


@dataclass(frozen=True)
class ServerMeasurement:
    """The figures of one trial. Cold start: from the first process to the first correct answer, through nginx."""

    measurements: tuple[Measurement, ...]
    cold_start_seconds: float | None
    pss_mb: float | None
    background_cpu_share: float  # of other programs, meanwhile
    engine: str = ""  # the choice of ENGINE=auto


def measure_server(server: Server, workload: Workload, seconds: int) -> ServerMeasurement:
    """Measure one server once. Raises NotServing, or CannotInstall if its packages are not available."""
    python = python_for(server.packages) if server.packages else Path(sys.executable)
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        scratch = Path(folder)
        body = scratch / "request.json"
        body.write_bytes(workload.body)
        workspace = Workspace(scratch, free_port(), workload, body, python)
        if server.name == "in-process":
            before = snapshot([])
            rate = measure_in_process(workspace, server.launch(workspace).environ, seconds)
            return ServerMeasurement((Measurement(0, rate, None, None, 0),), None, None, _share(before, []))
        return _measure_over_http(server, workspace, seconds)


def _measure_over_http(server: Server, workspace: Workspace, seconds: int) -> ServerMeasurement:
    workload, launch = workspace.workload, server.launch(workspace)
    began = time.monotonic()
    with started(launch, workspace.port, workspace.scratch) as running:
        expected = workload if server.has_model else None
        wait_for_correct_answer(running, expected, server.precision)
        cold_start = time.monotonic() - began
        url = f"http://127.0.0.1:{workspace.port}/invocations"
        drive(url, workspace.body, min(WARM_UP_CONCURRENCY, max(workload.concurrencies)), WARM_UP_SECONDS)
        runs, before = [], snapshot(running.process_tree())
        for concurrency in workload.concurrencies:
            # Once this is answered, the server has finished the requests that wrk abandoned in the run before.
            wait_for_correct_answer(running, expected, server.precision)
            runs.append(drive(url, workspace.body, concurrency, seconds))
        return ServerMeasurement(
            measurements=tuple(runs),
            cold_start_seconds=cold_start if server.has_model else None,
            pss_mb=running.pss_mb(),
            background_cpu_share=_share(before, running.process_tree()),
            engine=recorded_engine_choice(server, workload),
        )


def recorded_engine_choice(server: Server, workload: Workload) -> str:
    """Return the engine that ENGINE=auto uses by the archive's record; empty for a server with a fixed engine."""
    if server.engine != "auto":
        return ""
    choice = json.loads((workload.model_dir / "engines.json").read_text())["auto"][server.precision]
    return f"{choice['engine']} {choice['precision']}"


def measure_in_process(
    workspace: Workspace, environ: dict[str, str], seconds: int, processes: int = 2
) -> float:
    """Return the predictions a second of `processes` processes together, each on one thread, without HTTP."""
    command = [str(workspace.python), str(PROGRAMS / "in_process.py"), str(seconds)]
    running = [
        subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for process in running:
            if _read_line(process) != "ready":
                raise NotServing(f"{command[1]} ended with {process.wait()}")
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [_read_line(process).split() for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return sum_of_rates(counts)


def sum_of_rates(counts: Sequence[Sequence[str]]) -> float:
    """Add up the rates of (number, seconds) pairs."""
    return sum(float(number) / float(took) for number, took in counts)


def _share(before: Snapshot, processes: list[psutil.Process]) -> float:
    return background_cpu_share(before, snapshot(processes), os.cpu_count() or 1)


def _read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
