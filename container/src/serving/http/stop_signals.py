"""Signals that stop a worker, and the moment of its birth."""

import os
import signal
from functools import partial

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def hold_signals_while_forking() -> None:
    """Block the stop signals in a new worker of this process until it has its own handlers.

    A forked worker begins with its master's handlers, which would ignore the signal: a master that stops
    in that moment would wait for the worker for its whole graceful timeout. What a worker forks is left alone.
    """
    master = os.getpid()

    def change(how: int) -> None:
        if os.getpid() == master:
            signal.pthread_sigmask(how, STOP_SIGNALS)

    os.register_at_fork(
        before=partial(change, signal.SIG_BLOCK), after_in_parent=partial(change, signal.SIG_UNBLOCK)
    )
