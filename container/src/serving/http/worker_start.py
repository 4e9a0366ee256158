"""The start of the workers: each loads its model, or the whole server ends with one reason."""

import contextlib
import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.errors import HaltServer  # type: ignore[import-untyped]

from serving.engines.agreement import WrongAnswers
from serving.handlers.errors import CannotLoad
from serving.platform import startup_failure

_MOST_LOST = (
    3  # replacements in a row that end while they load: the system may have killed one for its memory
)


class LoadedWorkers:
    """The workers that have loaded their models, in memory that the master shares with them."""

    def __init__(self, workers: int, scratch: Path) -> None:
        self._loaded = mmap.mmap(-1, workers)
        self._all_file = scratch / "all-workers-have-loaded"
        self._lost = 0  # in the master
        self._have_all = False

    @property
    def have_all(self) -> bool:
        """True once every worker has loaded its model; a later replacement changes nothing."""
        self._have_all = self._have_all or self._all_file.exists()
        return self._have_all

    def begin(self, index: int) -> None:
        """Note that a new worker has not loaded its model yet."""
        self._loaded[index] = 0

    def finish(self, index: int) -> bool:
        """Note that a worker has loaded its model; return True for the last of all, once."""
        self._loaded[index] = 1
        if 0 in self._loaded[:] or self.have_all:
            return False
        with contextlib.suppress(FileExistsError):
            self._all_file.touch(exist_ok=False)
            return True
        return False

    def is_final_loss(self, index: int) -> bool:
        """Return True if a worker that has ended shows that the model cannot be loaded."""
        if self._loaded[index]:
            self._lost = 0
            return False
        self._lost += 1
        return not self.have_all or self._lost >= _MOST_LOST


def worker_ended(server: Any, index: int, loaded: LoadedWorkers, scratch: Path) -> None:
    """End the server, in its master, if a worker ended while it loaded its model, by whatever means.

    A worker that can say why has done so. Of any other the log has the exit code or the signal, and, after a
    segmentation fault, where it came from.
    """
    if not server.LISTENERS or not loaded.is_final_loss(index):  # without listeners it is stopping already
        return
    startup_failure.report("a worker ended while it loaded the model; the log above says how", scratch)
    raise HaltServer("no worker can load the model", 1)  # at once: a signal would let another worker begin


@contextlib.contextmanager
def alive_while_loading(worker: Any, seconds: int) -> Iterator[None]:
    """Report that the worker is alive while it loads; end the server after `seconds`."""
    loaded = threading.Event()

    def report() -> None:
        deadline = time.monotonic() + seconds
        while not loaded.wait(min(5.0, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                _end_server(worker, f"the model was not loaded within {seconds} s")
                os._exit(0)
            worker.notify()

    reporting = threading.Thread(target=report, daemon=True)
    reporting.start()
    try:
        yield
    finally:
        loaded.set()
        reporting.join()


def give_up(worker: Any, error: BaseException) -> NoReturn:
    """End the whole server because of `error`; log the traceback of errors from elsewhere."""
    if not worker.alive:  # its own signal's handler has raised the error
        sys.exit(0)
    reason, cause = str(error), error.__cause__
    if not isinstance(error, WrongAnswers | CannotLoad):
        reason, cause = f"the model cannot predict ({type(error).__name__}: {error})", error
    if _end_server(worker, " ".join(reason.split())) and cause is not None:
        worker.log.error("The model was not loaded", exc_info=cause)
    sys.exit(0)


def _end_server(worker: Any, reason: str) -> bool:
    return startup_failure.end_server(reason, worker.ppid, Path(worker.cfg.worker_tmp_dir))
