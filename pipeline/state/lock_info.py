"""The content of a lock, and the reasons for which one is stale. Pure, but for looking at processes."""

import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping

from pipeline.ci import github_run_url
from pipeline.model import Model

SILENT_SECONDS = 600.0  # ten renewals missed


class LockInfo(Model):
    """The run of a step that holds a lock; `run` and `attempt` are GitHub's, None elsewhere."""

    environment: str
    step: str
    user: str
    host: str
    pid: int
    run: str | None
    attempt: int | None
    run_url: str | None
    token: str
    taken_at: float  # epoch seconds, by its own clock

    def __str__(self) -> str:
        where = self.run_url or f"process {self.pid}"
        taken = time.strftime("%H:%M:%S UTC", time.gmtime(self.taken_at))
        return f"`{self.step}` of {self.user}@{self.host} ({where}) since {taken}"


def actor(environ: Mapping[str, str]) -> str:
    """Return the person behind this process: GitHub's actor, or user and machine."""
    return environ.get("GITHUB_ACTOR") or f"{getpass.getuser()}@{socket.gethostname()}"


def this_process(environment: str, step: str, environ: Mapping[str, str]) -> LockInfo:
    """Return the lock info of this process."""
    run, attempt = environ.get("GITHUB_RUN_ID"), environ.get("GITHUB_RUN_ATTEMPT", "")
    return LockInfo(
        environment=environment,
        step=step,
        user=environ.get("GITHUB_ACTOR") or getpass.getuser(),
        host=socket.gethostname(),
        pid=os.getpid(),
        run=run,
        attempt=int(attempt) if attempt.isdigit() else None,
        run_url=github_run_url(),
        token=secrets.token_hex(8),
        taken_at=time.time(),
    )


def is_running(pid: int) -> bool:
    """Say whether this machine has such a process, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stale_reason(
    lock: LockInfo,
    me: LockInfo,
    silent_seconds: float,
    is_alive: Callable[[int], bool] = is_running,
) -> str | None:
    """Return the reason for which a lock is stale; None while its run may be alive.

    A re-run of the same GitHub run begins when its earlier attempt is over.
    """
    is_same_run = me.run is not None and lock.run == me.run
    if is_same_run and (lock.attempt or 0) < (me.attempt or 0):
        return f"it is attempt {lock.attempt} of this run, and this is attempt {me.attempt}"
    if lock.host == me.host and not is_alive(lock.pid):
        return f"its process {lock.pid} is gone"
    if silent_seconds > SILENT_SECONDS:
        return f"it has been silent for {silent_seconds:.0f} s"
    return None
