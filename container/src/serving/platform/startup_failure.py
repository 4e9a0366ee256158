"""What a worker does that cannot get ready: it ends the whole server, and one worker says why for all."""

import os
import signal
import sys
from pathlib import Path

_SAID = "reason-was-said"


def end_server(reason: str, master: int, scratch: Path) -> bool:
    """Tell gunicorn's `master` to stop; say `reason`, unless another worker has, and return whether it was said.

    The caller then leaves with code 0. Gunicorn has an exit code for this, but its master cannot bear to
    meet it twice: if it finds a second such worker while it stops because of the first, it breaks with a
    traceback. A signal may come as often as there are workers.
    """
    try:
        (scratch / _SAID).touch(exist_ok=False)
    except FileExistsError:
        is_first = False
    else:
        is_first = True
        print(f"serve: {reason}", file=sys.stderr, flush=True)
    if os.getppid() == master:  # else it is gone, and `serve` is stopping already
        os.kill(master, signal.SIGTERM)
    return is_first
