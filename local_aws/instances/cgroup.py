"""A share of the CPUs for a group of processes, by the kernel's own means: a control group.

Version 1 (cpu controller) and version 2, wherever this user may make a group. The period is 20 ms, so
that a limited instance answers smoothly instead of freezing for a tenth of a second.
"""

import errno
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PERIOD_MICROSECONDS = 20_000
_SMALLEST_QUOTA = 1_000  # the kernel refuses less
_REMOVAL_SECONDS = 5.0  # a killed process leaves its group when it is torn down, not when it is signalled

# Runs a command inside the group from its first instruction on; `exec` keeps the process id.
_ENTER = 'echo $$ >"$1" && shift && exec "$@"'


def quota_microseconds(cpus: float) -> int:
    """CPU time per period that `cpus` CPUs mean."""
    return max(_SMALLEST_QUOTA, round(cpus * PERIOD_MICROSECONDS))


@dataclass(frozen=True)
class Cgroup:
    """One control group; `version` is 1 or 2."""

    path: Path
    version: int

    def create(self) -> None:
        """Make the group, with the lowest weight there is."""
        self.path.mkdir()
        self._set_weight(lowest=True)

    def entering(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The command that runs `command` inside the group."""
        return ("/bin/sh", "-c", _ENTER, "sh", str(self.path / "cgroup.procs"), *command)

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
        """Back to the lowest weight without a quota, as at the start."""
        self._set_weight(lowest=True)
        if self.version == 1:
            self._write("cpu.cfs_quota_us", "-1")
        else:
            self._write("cpu.max", f"max {PERIOD_MICROSECONDS}")

    def pids(self) -> list[int]:
        """The processes in the group; none when it is gone."""
        with suppress(FileNotFoundError):
            return [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        return []

    def remove(self) -> None:
        """Remove the group once its processes are gone. Raises OSError if they stay for 5 s."""
        end = time.monotonic() + _REMOVAL_SECONDS
        while True:
            try:
                return self.path.rmdir()
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _set_weight(self, *, lowest: bool) -> None:
        if self.version == 1:
            self._write("cpu.shares", "2" if lowest else "1024")
        else:
            self._write("cpu.weight", "1" if lowest else "100")

    def _write(self, name: str, value: str) -> None:
        (self.path / name).write_text(value)


def usable_parent(probe_id: str) -> Cgroup | None:
    """The nearest group of this process below which it can make, limit and fill another; None if nowhere.

    Tried for real, with a process that enters and leaves at once.
    """
    try:
        mounts, memberships = Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()
    except FileNotFoundError:  # not Linux
        return None
    for parent in candidates(mounts, memberships):
        probe = child(parent, f"probe-{probe_id}")
        with suppress(OSError, subprocess.CalledProcessError):
            try:
                probe.create()
                probe.limit(1.0)
                subprocess.run(probe.entering(("true",)), check=True, capture_output=True, timeout=10)
            finally:
                probe.remove()
            return parent
    return None


def child(parent: Cgroup, name: str) -> Cgroup:
    """The group of one instance below `parent`."""
    return Cgroup(parent.path / f"local-aws-{name}", parent.version)


def candidates(mountinfo: str, memberships: str) -> Iterator[Cgroup]:
    """Own CPU control group and those above it, nearest first, from the text of two files in /proc/self."""
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        filesystem, _, options = tail.split(" ", 2)
        mount_point = Path(fields.split()[4])
        if filesystem == "cgroup" and "cpu" in options.split(","):
            yield from (Cgroup(path, 1) for path in _upwards(mount_point, _membership(memberships, "cpu")))
        elif filesystem == "cgroup2":
            yield from (Cgroup(path, 2) for path in _upwards(mount_point, _membership(memberships, "")))


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
