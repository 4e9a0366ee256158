"""One visit to one server: started, checked, measured at each concurrency, ended."""

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

from benchmarks.comparison import disturbance, running
from benchmarks.comparison.environments import python_of
from benchmarks.comparison.load import Measurement, drive
from benchmarks.comparison.servers import Server
from benchmarks.comparison.site import PROGRAMS, Site
from benchmarks.comparison.workloads import Workload

WARM_UP_SECONDS = 1
WARM_UP_CONCURRENCY = 8


@dataclass(frozen=True)
class Found:
    """What a visit brings home. Cold start: from the first process to the first right answer, through nginx."""

    measurements: tuple[Measurement, ...]
    cold_start_seconds: float | None
    pss_mb: float | None
    others: float  # the share of the CPUs that processes which have no part in it took meanwhile
    engine: str = ""  # what ENGINE=auto took


def visit(server: Server, workload: Workload, seconds: int) -> Found:
    """Measure one server once. Raises NotServing, or CannotInstall where its packages are not to be had."""
    python = python_of(server.packages) if server.packages else Path(sys.executable)
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        scratch = Path(folder)
        body = scratch / "request.json"
        body.write_bytes(workload.body)
        site = Site(scratch, running.free_port(), workload, body, python)
        if server.name == "in-process":
            before = disturbance.snapshot([])
            rate = in_process(site, server.launch(site).environ, seconds)
            return Found((Measurement(0, rate, None, None, 0),), None, None, _others(before, []))
        launch = server.launch(site)
        began = time.monotonic()
        with running.started(launch, site.port, scratch) as alive:
            expected = workload if server.has_model else None
            running.await_right_answer(alive, expected, server.precision)
            cold_start = time.monotonic() - began
            url = f"http://127.0.0.1:{site.port}/invocations"
            drive(url, body, min(WARM_UP_CONCURRENCY, max(workload.concurrencies)), WARM_UP_SECONDS)
            runs, before = [], disturbance.snapshot(alive.family())
            for concurrency in workload.concurrencies:
                # What wrk gave up on before is done when this is answered.
                running.await_right_answer(alive, expected, server.precision)
                runs.append(drive(url, body, concurrency, seconds))
            known = cold_start if server.has_model else None
            foreign = _others(before, alive.family())
            return Found(tuple(runs), known, alive.pss_mb(), foreign, taken(server, workload))


def taken(server: Server, workload: Workload) -> str:
    """What ENGINE=auto takes, by the archive's record; nothing for a server that was told its engine."""
    if server.engine != "auto":
        return ""
    choice = json.loads((workload.model_dir / "engines.json").read_text())["auto"][server.precision]
    return f"{choice['engine']} {choice['precision']}"


def in_process(site: Site, environ: dict[str, str], seconds: int, processes: int = 2) -> float:
    """Predictions a second of that many processes together, each on one thread."""
    command = [str(site.python), str(PROGRAMS / "in_process.py"), str(seconds)]
    started = [
        subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for process in started:
            if _line(process) != "ready":
                raise running.NotServing(f"{command[1]} ended with {process.wait()}")
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [_line(process).split() for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return together(counts)


def together(counts: Sequence[Sequence[str]]) -> float:
    """The rates of (number, seconds) added up."""
    return sum(float(number) / float(took) for number, took in counts)


def _others(before: disturbance.Snapshot, family: list[psutil.Process]) -> float:
    return disturbance.others(before, disturbance.snapshot(family), os.cpu_count() or 1)


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
