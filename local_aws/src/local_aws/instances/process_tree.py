"""The processes of one instance: find, measure and kill them, and no others."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from local_aws.instances.cgroup import Cgroup
from local_aws.instances.started_resources import MARK, Record
from local_aws.instances.usage import Sample

_GONE_SECONDS = 5.0
_START_TOLERANCE_SECONDS = 0.05


def start_time(pid: int) -> float | None:
    """Return the epoch second at which a process started; None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def processes(record: Record) -> list[psutil.Process]:
    """List the living processes of a record.

    A process belongs if it is in the record's control group, carries the record's mark in its environment,
    or descends from the recorded process (same id *and* same start).
    """
    found: dict[int, psutil.Process] = {}
    for process in (*_in_cgroup(record), *_marked(record), *_descendants(record)):
        found.setdefault(process.pid, process)
    return list(found.values())


def kill(record: Record) -> None:
    """Kill all processes of a record, and wait until they are gone.

    Raises psutil.TimeoutExpired if something stays: a process being killed may still fork, so
    the list is read five times.
    """
    for _ in range(5):
        alive = processes(record)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _, stuck = psutil.wait_procs(alive, timeout=_GONE_SECONDS)
        if stuck:
            raise psutil.TimeoutExpired(_GONE_SECONDS, stuck[0].pid)
        if not alive:
            break
    if record.cgroup is not None:
        memory = Path(record.memory_cgroup) if record.memory_cgroup else None
        Cgroup(Path(record.cgroup), 0, memory).remove()


def measure(leader: int, at: float) -> Sample:
    """Measure the use of a process and its descendants, ended children included."""
    cpu_seconds = memory = 0.0
    for process in _tree(leader):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = process.cpu_times()
            ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            cpu_seconds += times.user + times.system + ended
            memory += _own_memory(process)
    return Sample(at, cpu_seconds, memory)


def listens(record: Record, port: int) -> bool:
    """Check whether a process of the record listens on the TCP port."""
    for process in processes(record):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return True
    return False


def _own_memory(process: psutil.Process) -> float:
    """Return bytes of memory, with shared pages split among their users where known (PSS)."""
    memory = process.memory_full_info()
    return float(getattr(memory, "pss", memory.rss))


def _tree(leader: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(leader)
        return [process, *process.children(recursive=True)]
    return []


def _in_cgroup(record: Record) -> Iterator[psutil.Process]:
    if record.cgroup is not None:
        for pid in Cgroup(Path(record.cgroup), 0).pids():
            with suppress(psutil.NoSuchProcess):
                yield psutil.Process(pid)


def _marked(record: Record) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process.environ().get(MARK) == record.id:
                yield process


def _descendants(record: Record) -> Iterator[psutil.Process]:
    if record.pid is None or record.started is None:
        return
    started = start_time(record.pid)
    if started is not None and abs(started - record.started) < _START_TOLERANCE_SECONDS:
        yield from _tree(record.pid)
