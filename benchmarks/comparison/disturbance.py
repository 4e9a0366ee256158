"""How much of the machine others took while a server was measured: figures of a shared machine need it beside them."""

import contextlib
import resource
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Snapshot:
    """CPU seconds since the machine started, all of it and what belongs to the measurement; and the time now."""

    at: float
    busy: float  # of all CPUs, with what the hypervisor gave to other machines
    ours: float


def snapshot(family: list[psutil.Process]) -> Snapshot:
    """`family` is the server's processes; this process and what it has waited for, such as wrk, count as well."""
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
    ours = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            ours += times.user + times.system
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        ours += used.ru_utime + used.ru_stime
    return Snapshot(time.monotonic(), busy, ours)


def others(before: Snapshot, after: Snapshot, cpus: int) -> float:
    """The share, from 0 to 1, of the machine's CPU time that went to none of ours."""
    available = (after.at - before.at) * cpus
    foreign = (after.busy - before.busy) - (after.ours - before.ours)
    return min(max(foreign / available, 0.0), 1.0) if available > 0 else 0.0
