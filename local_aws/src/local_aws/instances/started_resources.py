"""Records of everything that a run starts, on disk before it runs and until it is gone.

    STATE_DIR/started/OWNER/            locked (flock) for as long as the owner lives
    STATE_DIR/started/OWNER/ID.json     one record per instance or server started
    STATE_DIR/started/OWNER/ID/         its files
    STATE_DIR/started/OWNER/.../        other files of the owner (unpacked model data)

The kernel drops the lock with its owner, however it dies: a directory whose lock is free belongs to
a run that is over, and whatever its records name may be removed. The directory of a live run, in this
state directory or in another, is never touched.
"""

import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """Enough to find what was started, and to tell it from anything else.

    A container is found by its label, which is the record's id. A process carries the id in its
    environment (`MARK`); `pid` with its start time (epoch seconds) and `cgroup` find it faster. The control
    group of its memory, `memory_cgroup`, is where version 1 of control groups has one.
    """

    id: str
    kind: str  # "process" | "container"
    pid: int | None = None
    started: float | None = None
    cgroup: str | None = None
    memory_cgroup: str | None = None


MARK = "STARTED_BY_LOCAL_AWS"


def scratch(record_id: str) -> Path:
    """Return the folder of a process's temporary files, short because Unix sockets allow 107 bytes."""
    return Path(tempfile.gettempdir()) / f"local-aws-{record_id}"


class StartedResources:
    """The records and files of one run. Made with the run, closed at its end."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "started"
        self.owner = secrets.token_hex(6)
        self.directory = self._root / self.owner
        self._root.mkdir(parents=True, exist_ok=True)
        with self._door():
            self.directory.mkdir()
            self._lock = _try_lock(self.directory)

    def folder(self, record_id: str) -> Path:
        """Return the directory for the files of one record, made if need be."""
        path = self.directory / record_id
        path.mkdir(exist_ok=True)
        return path

    def write(self, record: Record) -> None:
        """Write or replace a record; it is complete on disk when this returns."""
        path = self.directory / f"{record.id}.json"
        new = path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def forget(self, record_id: str) -> None:
        """Delete the record and the files of something that is gone."""
        remove_tree(self.directory / record_id)
        remove_tree(scratch(record_id))
        (self.directory / f"{record_id}.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock this run's directory, and remove it if no record is left. Repeatable."""
        if self._lock is None:
            return
        if not any(self.directory.glob("*.json")):
            remove_tree(self.directory)
        os.close(self._lock)
        self._lock = None

    @contextmanager
    def abandoned(self) -> Iterator[list[Path]]:
        """Lock and yield the directories of runs that are over, so that no one else sweeps them."""
        with self._door():
            tried = {path: _try_lock(path) for path in sorted(self._root.iterdir())}
        held = {path: lock for path, lock in tried.items() if lock is not None}
        try:
            yield list(held)
        finally:
            for lock in held.values():
                os.close(lock)

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Serialise: a directory being made is not yet locked, and must not look abandoned."""
        door = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield
        finally:
            os.close(door)


def read_records(directory: Path) -> list[Record]:
    """Read all records in the directory of a run."""
    return [Record(**json.loads(path.read_text())) for path in sorted(directory.glob("*.json"))]


def remove_tree(directory: Path) -> None:
    """Remove a directory, also one made read-only; nothing happens when there is none."""
    if not directory.exists():
        return
    for folder, _, _ in os.walk(directory):
        Path(folder).chmod(stat.S_IRWXU)
    shutil.rmtree(directory)


def _try_lock(directory: Path) -> int | None:
    """Open and lock a directory; None when another process has the lock, or it is gone."""
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
