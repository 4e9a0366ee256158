"""End the server because a worker cannot load its model; one worker reports the reason for all."""

import os
import signal
import sys
from pathlib import Path

_REPORTED = "startup-failure-is-reported"


def report(reason: str, scratch: Path) -> bool:
    """Print `reason` unless another process has printed one; return whether it was printed."""
    try:
        (scratch / _REPORTED).touch(exist_ok=False)
    except FileExistsError:
        return False
    print(f"serve: {reason}", file=sys.stderr, flush=True)
    return True


def end_server(reason: str, master: int, scratch: Path) -> bool:
    """Stop gunicorn's `master`; print `reason` unless another worker has, and return whether it was printed.

    The caller then exits with code 0. Gunicorn has an exit code for this, but its master fails with a
    traceback when a second worker uses it while the first one's is being handled. A signal may come from
    any number of workers.
    """
    is_first = report(reason, scratch)
    if os.getppid() == master:  # otherwise it has ended, and `serve` is stopping already
        os.kill(master, signal.SIGTERM)
    return is_first
