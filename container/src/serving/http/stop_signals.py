"""Signals that stop a worker, and the moment of its birth."""

import os
import signal
from functools import partial

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def hold_signals_while_forking() -> None:
    """Block the stop signals in a new worker until it has its own handlers.

    A forked worker begins with its master's handlers, which would ignore the signal: a master that stops
    in that moment would wait for the worker for its whole graceful timeout.
    """
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOP_SIGNALS),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOP_SIGNALS),
    )
