"""A share of the CPUs where no control group can be made: stop and continue a process group in turn.

    python throttle.py GROUP CPUS

Needs nothing but the standard library, and ends when the group is gone. It grants CPU time as it
passes (CPUS seconds a second), looks at what the group has used, and stops the group while it is in
debt. Where the system does not tell the time used, it lets the group run for its share of each period.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PERIOD_SECONDS = 0.02
_SAVINGS_SECONDS = 0.01  # CPU time an idle group may save up: it answers a single request at once
_BUSY_LOOK_SECONDS, _IDLE_LOOK_SECONDS, _COUNT_SECONDS = 0.003, 0.01, 0.5
_PROC = Path("/proc")


def settle(savings: float, granted: float, used: float) -> float:
    """Return the CPU seconds that the group may still use; below zero it must be stopped."""
    return min(_SAVINGS_SECONDS, savings + granted - used)


def members(group: int) -> Iterator[int]:
    """List the processes of a process group."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    yield int(entry.name)
            except ProcessLookupError:
                continue


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, to the nanosecond; 0 once it is gone."""
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def pause_seconds(savings: float, cpus: float, used: float) -> float:
    """Return the seconds until the next check: until a debt is paid, short while the group works, else longer."""
    if savings <= 0:
        return max(_BUSY_LOOK_SECONDS, -savings / cpus)
    return _BUSY_LOOK_SECONDS if used > 0 else _IDLE_LOOK_SECONDS


def throttle(group: int, cpus: float) -> None:
    """Limit the group to `cpus` CPUs until it is gone (ProcessLookupError) or this process is ended."""
    savings, used, running = _SAVINGS_SECONDS, 0.0, True
    known = {pid: cpu_seconds(pid) for pid in members(group)}
    then = counted = time.monotonic()
    while True:
        time.sleep(pause_seconds(savings, cpus, used))
        now = time.monotonic()
        if now - counted > _COUNT_SECONDS:  # there may be new members, or none any more
            os.killpg(group, 0)
            known = {pid: known.get(pid, cpu_seconds(pid)) for pid in members(group)}
            counted = now
        times = {pid: cpu_seconds(pid) for pid in known}
        used = sum(max(0.0, times[pid] - known[pid]) for pid in known)
        savings = settle(savings, cpus * (now - then), used)
        then, known = now, times
        if running != (savings > 0):
            running = not running
            os.killpg(group, signal.SIGCONT if running else signal.SIGSTOP)


def throttle_blindly(group: int, cpus: float) -> None:
    """Limit the group without knowing the time used: run for `cpus` of each period (at most all of it)."""
    share = min(1.0, cpus)
    while True:
        os.killpg(group, signal.SIGCONT)
        time.sleep(PERIOD_SECONDS * share)
        if share < 1.0:
            os.killpg(group, signal.SIGSTOP)
        time.sleep(PERIOD_SECONDS * (1.0 - share))


def main() -> int:
    """Throttle until the group is gone; a SIGTERM leaves the group running."""
    group, cpus = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    knows_time = (_PROC / "self" / "schedstat").exists()
    try:
        (throttle if knows_time else throttle_blindly)(group, cpus)
    except ProcessLookupError:
        return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
