"""Watch who uses this machine's CPUs while a rehearsal runs, to tell a busy machine from a bad release."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from rehearsal.errors import MachineTooSmall, RehearsalError

CPUS = psutil.cpu_count() or 1
LOOK_SECONDS = 2.0
ENGINE = (
    "containerd",
    "dockerd",
)  # how the names of an engine's processes begin: containers are their children
OTHERS_PERCENT = (
    25.0  # of all CPUs: when others took more than this in a step, its measurements are theirs as well
)
JUDGED = {5, 7, 8, 13, 20, 21, 22}
"""Exit codes of the pipeline that judge a release by its speed or its answers in time: rolled back, timed out,
unproved, failed its golden tests, load test broken, gate failed, inconclusive."""


@dataclass(frozen=True)
class Sample:
    """The CPUs that others used in the time before `at` (monotonic seconds), in percent of all of them."""

    at: float
    others_percent: float


@dataclass
class MachineLoad:
    """The samples so far."""

    samples: list[Sample] = field(default_factory=list)

    def others_percent(self, since: float) -> float:
        """Return the mean share of the CPUs that others took since then; 0 without a sample."""
        found = [each.others_percent for each in self.samples if each.at >= since]
        return sum(found) / len(found) if found else 0.0

    def judged(self, error: RehearsalError, step: str, since: float) -> RehearsalError:
        """Return the error of a step that began at `since`; if others took much of the machine, one that says so."""
        others = self.others_percent(since)
        if error.exit_code not in JUDGED or others <= OTHERS_PERCENT:
            return error
        return MachineTooSmall(
            f"other programs took {others:.0f} % of its CPUs during “{step}”, so that nothing was judged. It ended with: "
            f"{error}",
            fix="Rehearse again when nothing else runs.",
        )


@contextmanager
def watched(kind: str) -> Iterator[MachineLoad]:
    """Watch the machine until the block ends. `kind`: of the instances; containers are not children of this process."""
    load, ended = MachineLoad(), threading.Event()
    thread = threading.Thread(target=_watch, args=(load, ended, kind == "docker"), daemon=True)
    thread.start()
    try:
        yield load
    finally:
        ended.set()
        thread.join()


def _watch(load: MachineLoad, ended: threading.Event, has_containers: bool) -> None:
    before, then = _others(has_containers), time.monotonic()
    while not ended.wait(LOOK_SECONDS):
        now, at = _others(has_containers), time.monotonic()
        used = sum(
            max(seconds - before.get(name, 0.0), 0.0) for name, seconds in now.items() if name in before
        )
        load.samples.append(Sample(at, 100 * used / (at - then) / CPUS))
        before, then = now, at


def _others(has_containers: bool) -> dict[tuple[int, float], float]:
    """Return the CPU seconds so far of each process that is not the rehearsal's, by process id and start; and stolen ones."""
    known = {
        process.pid: process for process in psutil.process_iter(["ppid", "name", "create_time", "cpu_times"])
    }
    ours = {psutil.Process().pid}
    if has_containers:
        ours |= {pid for pid, process in known.items() if process.info["name"].startswith(ENGINE)}
    while grown := {pid for pid, each in known.items() if each.info["ppid"] in ours} - ours:
        ours |= grown
    found = {(0, 0.0): getattr(psutil.cpu_times(), "steal", 0.0)}
    for pid, process in known.items():
        times = process.info["cpu_times"]
        if pid not in ours and times is not None:
            found[pid, process.info["create_time"]] = times.user + times.system
    return found
