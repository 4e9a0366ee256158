"""Processes that a user's program forks from its worker: children of Python's defaults, and no part of the server."""

import os
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

_is_child = False  # True in a process that was forked from a worker


def keep_children_apart(handler_owner: object, directory: Path, ports: set[int]) -> None:
    """Let every process that is forked from this one begin with Python's signals, and without the server's sockets.

    Signals whose handlers are methods of `handler_owner` get their defaults. Sockets of the server, those in
    `directory` and those with a local port of `ports`, become /dev/null: a child that outlives its worker would
    keep them open, and whoever connects would wait for an answer that nobody gives.
    """
    os.register_at_fork(after_in_child=partial(_become_child, handler_owner, directory, ports))


def end_child(error: BaseException | None = None) -> None:
    """End this process if it was forked by the program, as Python ends one that raised `error`; else do nothing.

    Without this the child would go on as a second worker, with the first one's requests.
    """
    if not _is_child:
        return
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF)


def _become_child(handler_owner: object, directory: Path, ports: set[int]) -> None:
    global _is_child  # a fork changes the whole process
    _is_child = True
    signal.set_wakeup_fd(-1)  # it leads into the worker's own pipe
    for signal_number in signal.valid_signals():
        if getattr(signal.getsignal(signal_number), "__self__", None) is handler_owner:
            signal.signal(
                signal_number,
                signal.default_int_handler if signal_number == signal.SIGINT else signal.SIG_DFL,
            )
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in _own_sockets(str(directory), ports):
        os.dup2(nothing, number, inheritable=False)  # its Python object keeps a number of its own
    os.close(nothing)


def _own_sockets(directory: str, ports: set[int]) -> Iterator[int]:
    """Yield the file descriptors of the server's listeners, and of the connections that they accepted."""
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208  # of numbers, and gone in a moment
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(entry)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry))) as one:
                name = one.getsockname()
            if name.startswith(directory) if isinstance(name, str) else name[1] in ports:
                yield int(entry)
