"""Who holds a lock, and whether the holder can still be alive. Pure, but for asking whether a process lives."""

import getpass
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping

from pipeline.ci import github_run_url
from pipeline.model import Model

SILENT_SECONDS = 600.0  # ten renewals missed


class Holder(Model):
    """One run of one step; `run` and `attempt` are GitHub's, None elsewhere."""

    environment: str
    step: str
    user: str
    host: str
    pid: int
    run: str | None
    attempt: int | None
    run_url: str | None
    token: str
    taken_at: float  # epoch seconds, by the holder's clock

    def __str__(self) -> str:
        where = self.run_url or f"process {self.pid}"
        taken = time.strftime("%H:%M:%S UTC", time.gmtime(self.taken_at))
        return f"`{self.step}` of {self.user}@{self.host} ({where}) since {taken}"


def who(environ: Mapping[str, str]) -> str:
    """Name the person behind this process: GitHub's actor, or the user and the machine."""
    return environ.get("GITHUB_ACTOR") or f"{getpass.getuser()}@{socket.gethostname()}"


def this_process(environment: str, step: str, environ: Mapping[str, str]) -> Holder:
    """Describe this process as the holder of a lock."""
    run, attempt = environ.get("GITHUB_RUN_ID"), environ.get("GITHUB_RUN_ATTEMPT", "")
    return Holder(
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
    """Say whether a process of this machine is there, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def why_void(
    holder: Holder,
    me: Holder,
    silent_seconds: float,
    lives: Callable[[int], bool] = is_running,
) -> str | None:
    """Say why a lock holds no longer; None while its holder may be alive.

    A re-run of the same GitHub run begins when its earlier attempt is over.
    """
    is_same_run = me.run is not None and holder.run == me.run
    if is_same_run and (holder.attempt or 0) < (me.attempt or 0):
        return f"it is attempt {holder.attempt} of this run, and this is attempt {me.attempt}"
    if holder.host == me.host and not lives(holder.pid):
        return f"its process {holder.pid} is gone"
    if silent_seconds > SILENT_SECONDS:
        return f"it has been silent for {silent_seconds:.0f} s"
    return None
