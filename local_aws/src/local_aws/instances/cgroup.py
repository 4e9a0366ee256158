"""Control groups: shares of CPU and memory for a group of processes, enforced by the kernel.

Version 1 and version 2, wherever this user may make a group. The period is 20 ms, so that a limited instance
answers smoothly instead of freezing for a tenth of a second. A group that takes more memory than it may has a
process killed by the kernel. Version 1 has a group of its own for that (`memory`), version 2 a file of the same.
"""

import errno
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

PERIOD_MICROSECONDS = 20_000
_SMALLEST_QUOTA = 1_000  # the kernel refuses less
_PROBE_BYTES = 2**28
_REMOVAL_SECONDS = 5.0  # a killed process leaves its group when it is torn down, not when it is signalled

# Runs a command inside its groups from its first instruction on; `exec` keeps the process id.
_ENTER = 'echo $$ >"$1" && echo $$ >"$2" && shift 2 && exec "$@"'


def quota_microseconds(cpus: float) -> int:
    """Return the CPU time per period for `cpus` CPUs."""
    return max(_SMALLEST_QUOTA, round(cpus * PERIOD_MICROSECONDS))


@dataclass(frozen=True)
class Cgroup:
    """One control group; `version` is 1 or 2. `memory` is version 1's separate group for memory, if any."""

    path: Path
    version: int
    memory: Path | None = None

    def create(self, memory_bytes: int | None = None) -> None:
        """Make the group with the lowest weight and, where the kernel allows it, a memory limit."""
        self.path.mkdir()
        self._set_weight(lowest=True)
        if self.memory is not None:
            self.memory.mkdir()
        if memory_bytes is not None:
            self._limit_memory(memory_bytes)

    def entering(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs `command` inside the group."""
        groups = (self.path, self.memory or self.path)
        return ("/bin/sh", "-c", _ENTER, "sh", *(str(group / "cgroup.procs") for group in groups), *command)

    def limit(self, cpus: float) -> None:
        """Set the quota and restore the ordinary weight."""
        quota = quota_microseconds(cpus)
        if self.version == 1:
            self._write("cpu.cfs_period_us", str(PERIOD_MICROSECONDS))
            self._write("cpu.cfs_quota_us", str(quota))
        else:
            self._write("cpu.max", f"{quota} {PERIOD_MICROSECONDS}")
        self._set_weight(lowest=False)

    def unlimit(self) -> None:
        """Restore the lowest weight without a quota, as at the start."""
        self._set_weight(lowest=True)
        if self.version == 1:
            self._write("cpu.cfs_quota_us", "-1")
        else:
            self._write("cpu.max", f"max {PERIOD_MICROSECONDS}")

    def pids(self) -> list[int]:
        """List the processes in the group; none when it is gone."""
        with suppress(FileNotFoundError):
            return [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        return []

    def remove(self) -> None:
        """Remove the group once its processes are gone. Raises OSError if they stay for 5 s."""
        for group in (self.path, self.memory):
            if group is not None:
                _remove(group)

    def _limit_memory(self, memory_bytes: int) -> None:
        """Limit memory and swap, as far as the kernel has the controller and accounts for swap."""
        limits = ("memory.max", "memory.swap.max"), (str(memory_bytes), "0")
        group = self.path
        if self.version == 1:
            limits = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), (str(memory_bytes),) * 2
            group = self.memory or self.path
        for name, value in zip(*limits, strict=True):
            if (group / name).exists():
                (group / name).write_text(value)

    def _set_weight(self, *, lowest: bool) -> None:
        if self.version == 1:
            self._write("cpu.shares", "2" if lowest else "1024")
        else:
            self._write("cpu.weight", "1" if lowest else "100")

    def _write(self, name: str, value: str) -> None:
        (self.path / name).write_text(value)


def _remove(group: Path) -> None:
    end = time.monotonic() + _REMOVAL_SECONDS
    while True:
        try:
            return group.rmdir()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)


def usable_parent(probe_id: str) -> Cgroup | None:
    """Find the nearest own group in which this process can make, limit and fill another; None if there is none.

    Tried for real, with a process that enters and leaves at once; with memory first, then without.
    """
    try:
        mounts, memberships = Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()
    except FileNotFoundError:  # not Linux
        return None
    groups = list(candidates(mounts, memberships))
    memory = memory_group(mounts, memberships)
    with_memory = [replace(group, memory=memory) for group in groups if group.version == 1 and memory]
    for parent in (*with_memory, *groups):
        probe = child(parent, f"probe-{probe_id}")
        with suppress(OSError, subprocess.CalledProcessError):
            try:
                probe.create(_PROBE_BYTES)
                probe.limit(1.0)
                subprocess.run(probe.entering(("true",)), check=True, capture_output=True, timeout=10)
            finally:
                probe.remove()
            return parent
    return None


def child(parent: Cgroup, name: str) -> Cgroup:
    """Return the group of one instance below `parent`."""
    own = f"local-aws-{name}"
    return Cgroup(parent.path / own, parent.version, parent.memory / own if parent.memory else None)


def candidates(mountinfo: str, memberships: str) -> Iterator[Cgroup]:
    """List the own CPU group and those above it, nearest first, from the text of two files in /proc/self."""
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        filesystem, _, options = tail.split(" ", 2)
        mount_point = Path(fields.split()[4])
        if filesystem == "cgroup" and "cpu" in options.split(","):
            yield from (Cgroup(path, 1) for path in _upwards(mount_point, _membership(memberships, "cpu")))
        elif filesystem == "cgroup2":
            yield from (Cgroup(path, 2) for path in _upwards(mount_point, _membership(memberships, "")))


def memory_group(mountinfo: str, memberships: str) -> Path | None:
    """Return this process's group in version 1's memory hierarchy; None without one."""
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        filesystem, _, options = tail.split(" ", 2)
        if filesystem == "cgroup" and "memory" in options.split(","):
            return next(_upwards(Path(fields.split()[4]), _membership(memberships, "memory")))
    return None


def _membership(memberships: str, controller: str) -> str:
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"


def _upwards(mount_point: Path, own: str) -> Iterator[Path]:
    relative = PurePosixPath(own.lstrip("/"))
    for part in (relative, *relative.parents):
        yield mount_point / part
