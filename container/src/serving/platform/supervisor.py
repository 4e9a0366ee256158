"""Run child processes together: when one ends, all end; on SIGTERM all stop in order.

The signals that this process reacts to are blocked and fetched with sigwait, so no handler interrupts the
code. Process 1 of a container would not receive them otherwise.
"""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1})
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Child:
    """A running child, and the signal on which it finishes its work and ends."""

    name: str
    process: subprocess.Popen[bytes]
    drain: signal.Signals


class Supervisor:
    """The children of this process and, once these have died, their children."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the workers of a killed master become ours

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        drain: signal.Signals,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start a child; the kernel sends it the `drain` signal if this process dies."""

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            _prctl(_PR_SET_PDEATHSIG, drain)

        process = subprocess.Popen(command, env=environ, preexec_fn=prepare)
        self._children.append(Child(name, process, drain))

    def wait(self, *, ready: Callable[[], None]) -> int:
        """Wait for SIGTERM or SIGINT (returns 0) or for a child's end (returns 1).

        Calls `ready` when a child sends SIGUSR1 for the first time.
        """
        is_ready = False
        while True:
            received = signal.sigwait(SIGNALS)
            if received in (signal.SIGTERM, signal.SIGINT):
                return 0
            if received == signal.SIGUSR1 and not is_ready:
                is_ready = True
                ready()
            ended = next((child for child in self._children if child.process.poll() is not None), None)
            if ended is not None:
                logger.info("%s ended (%s); stopping", ended.name, _cause(ended.process.returncode))
                return 1

    def stop(self, seconds: float) -> bool:
        """Drain the children, the last started first, and kill those left after `seconds` in all.

        Returns whether all of them finished their work.
        """
        deadline = time.monotonic() + seconds
        finished = True
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.send_signal(child.drain)
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.info(
                    "%s did not finish within %g s and was killed; its unfinished requests are lost",
                    child.name,
                    seconds,
                )
                finished = False
                child.process.kill()
                child.process.wait()
        _end_orphans()
        return finished


def _end_orphans() -> None:
    """Kill the processes that the children left behind, until this process has none."""
    while orphans := list(_children_of(os.getpid())):
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _children_of(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                # "pid (name) state ppid ...": the name may hold anything, the last bracket ends it
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
                if int(after_name.split()[1]) == parent:
                    yield int(entry.name)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
