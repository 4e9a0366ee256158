"""Gunicorn's threaded worker, made to refuse and to stop as the contract wants it."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

import codec
import identity
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_REFUSED: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


def hold_signals_while_forking() -> None:
    """Hold back, in a new worker, what stops it until it knows how to stop.

    It is born with its master's handlers, which would swallow the signal: the master, told to stop
    in that moment, would then wait for this worker for its whole graceful timeout.
    """
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, _STOPPING),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _STOPPING),
    )


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Refuses what is not HTTP in JSON and with the identity, and takes nothing new while it stops."""

    def init_signals(self) -> None:
        """Let in what was held back since the fork, now that there is somebody to react."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

    @contextlib.contextmanager
    def alive_while_loading(self, seconds: int) -> Iterator[None]:
        """Keep the master from taking this worker for dead while it loads; end the server after `seconds`."""
        loaded = threading.Event()

        def beat() -> None:
            deadline = time.monotonic() + seconds
            while not loaded.wait(min(5.0, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    print(f"serve: the model was not loaded within {seconds} s", file=sys.stderr, flush=True)
                    os._exit(Arbiter.WORKER_BOOT_ERROR)
                self.notify()

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            loaded.set()
            beating.join()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Close the port, too, when stopping: else new connections are taken, and wait for nobody."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read; anything else is gunicorn's to report."""
        status = next((status for kind, status in _REFUSED if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        body = codec.encode_error(f"request: {exc}")
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {codec.CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"{identity.HEADER}: {identity.from_environ(os.environ).header}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode("ascii") + body)
        except OSError as gone:
            self.log.debug("The peer left before it could be told of its error: %s", gone)
