"""The share of the machine that other programs used during a measurement, to publish beside its figures."""

import contextlib
import resource
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Snapshot:
    """CPU seconds since the machine started: of all programs, and of the measurement; and the time."""

    at: float
    busy: float  # of all CPUs, including the time that the hypervisor gave to other machines
    ours: float


def snapshot(server_processes: list[psutil.Process]) -> Snapshot:
    """Read the CPU times; this process and its finished children, such as wrk, belong to the measurement."""
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
    ours = 0.0
    for process in server_processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            ours += times.user + times.system
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        ours += used.ru_utime + used.ru_stime
    return Snapshot(time.monotonic(), busy, ours)


def background_cpu_share(before: Snapshot, after: Snapshot, cpus: int) -> float:
    """Return the share, from 0 to 1, of the machine's CPU time that other programs used."""
    available = (after.at - before.at) * cpus
    background = (after.busy - before.busy) - (after.ours - before.ours)
    return min(max(background / available, 0.0), 1.0) if available > 0 else 0.0
