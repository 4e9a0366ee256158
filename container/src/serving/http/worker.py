"""Gunicorn's threaded worker, made to refuse and to stop as the contract wants it; and, behind nginx, the lane.

Behind nginx a worker has two ways in. The socket that all workers share is for /ping, /metrics and
whatever else there is, and has threads of its own, so that no invocation keeps /ping from an answer.
The socket of its own is for invocations: nginx sends each to the worker that has the fewest. There the
lane (`lane.py`) answers; or Flask does, for models that take one request at a time.
"""

import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from gunicorn import glogging, util  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from serving.engines.golden import WrongAnswers
from serving.handlers import media
from serving.handlers.errors import CannotLoad
from serving.http import application
from serving.http.batch_server import BatchServer
from serving.http.errors import error_body
from serving.http.service import SERVICE, Service
from serving.platform import devices, identity, json_logging, startup_failure

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_OWN_SOCKETS_VARIABLE = "SERVE_OWN_SOCKETS"  # set by `serve`: where the workers' own sockets go
_DEVICES_VARIABLE = "SERVE_DEVICES"  # set by `serve`: its plan's GPUs
_FRONT_THREADS = 4  # for /ping and the like
_BACKLOG = 2048
_HIGH = 8191  # a file's number that no other file gets before thousands are open
_HUNG_SECONDS = 5  # beyond the time that a request may take
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


def own_socket(directory: Path, index: int) -> str:
    """Where the worker with this index listens; nginx is told the same."""
    return str(directory / f"worker-{index}.sock")


def _listen(path: str) -> socket.socket:
    """A listening socket at `path`; one that a worker before left there is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener.bind(path)
    listener.listen(_BACKLOG)
    # A dying process gives back its files from the highest on: so this door closes before the connections
    # behind it break, and who then comes again is sent to another worker.
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    highest = _HIGH if allowed == resource.RLIM_INFINITY else min(allowed - 1, _HIGH)
    door = socket.socket(fileno=fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, highest))
    listener.close()
    door.setblocking(False)
    return door


class Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own log, in the form of the others' lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(json_logging.JsonLines())


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Refuses what is not HTTP in JSON and with the identity, and takes nothing new while it stops."""

    def init_process(self) -> None:
        """Take this worker's GPU, before anything asks for one, and load."""
        mine = devices.of_worker(
            self.index, tuple(filter(None, os.environ.get(_DEVICES_VARIABLE, "").split(",")))
        )
        if mine is not None:
            os.environ[devices.VISIBLE_VARIABLE] = mine
        super().init_process()

    def init_signals(self) -> None:
        """Let in what was held back since the fork, now that there is somebody to react."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

    sockets: list[Any]
    index = 0  # among the workers, from 0; a worker that replaces another takes its index

    def run(self) -> None:
        """Open this worker's own way in, and serve until told to stop."""
        self._service: Service = self.wsgi.extensions[SERVICE]
        self._lane: BatchServer | None = None
        self._lane_thread: threading.Thread | None = None
        self._own_name = ""
        self._invocations: ThreadPoolExecutor = self.tpool
        directory = os.environ.get(_OWN_SOCKETS_VARIABLE)
        if directory:
            self._own_name = own_socket(Path(directory), self.index)
            self._open(_listen(self._own_name))
        super().run()
        if self._lane_thread:
            self._lane_thread.join(self.cfg.graceful_timeout)

    def _open(self, listener: socket.socket) -> None:
        if self._service.handler.takes_batches and not application.has_hooks(self.wsgi):
            self._lane = BatchServer(listener, self._service, partial(application.error_response, self.wsgi))
            self._lane_thread = threading.Thread(
                target=self._run_lane, args=[self._lane], name="lane", daemon=True
            )
            self._lane_thread.start()
            return
        if self._service.handler.takes_batches and self.index == 0:
            self.log.warning("Each invocation takes the whole of Flask: there is a hook that wants to see it")
        self.tpool = ThreadPoolExecutor(_FRONT_THREADS, thread_name_prefix="front")
        self.sockets = [*self.sockets, listener]

    def _run_lane(self, lane: BatchServer) -> None:
        try:
            lane.run()
        except BaseException:
            self.log.exception("The lane has broken; this worker is replaced")
            os._exit(1)

    def enqueue_req(self, conn: TConn) -> None:
        """Leave the threads of the shared socket to the shared socket."""
        if conn.server != self._own_name:
            super().enqueue_req(conn)
            return
        done = self._invocations.submit(self.handle, conn)
        done.add_done_callback(lambda result: self.method_queue.defer(self.finish_request, conn, result))

    def notify(self) -> None:
        """Tell the master that this worker is alive, about once a second; end it when it is not."""
        super().notify()
        if not self.booted:
            return
        limit = self._service.limits.timeout_seconds + _HUNG_SECONDS
        if self._service.in_flight.longest() > limit:
            self.log.error("An invocation has run for more than %d s; this worker is replaced", limit)
            os._exit(1)
        if not self._service.is_fit:
            self._service.probe()

    @contextlib.contextmanager
    def alive_while_loading(self, seconds: int) -> Iterator[None]:
        """Keep the master from taking this worker for dead while it loads; end the server after `seconds`."""
        loaded = threading.Event()

        def beat() -> None:
            deadline = time.monotonic() + seconds
            while not loaded.wait(min(5.0, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    self._end_server(f"the model was not loaded within {seconds} s")
                    os._exit(0)
                self.notify()

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            loaded.set()
            beating.join()

    def give_up(self, error: Exception) -> NoReturn:
        """End the whole server because of `error`; the log has the traceback of what is not ours."""
        reason, cause = str(error), error.__cause__
        if not isinstance(error, WrongAnswers | CannotLoad):
            reason, cause = f"the model cannot predict ({type(error).__name__}: {error})", error
        if self._end_server(" ".join(reason.split())) and cause is not None:
            self.log.error("The model was not loaded", exc_info=cause)
        sys.exit(0)

    def _end_server(self, reason: str) -> bool:
        return startup_failure.end_server(reason, self.ppid, Path(self.cfg.worker_tmp_dir))

    def set_accept_enabled(self, enabled: bool) -> None:
        """Close the port, too, when stopping: else new connections are taken, and wait for nobody."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()
            if self._lane:
                self._lane.stop()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read; anything else is gunicorn's to report."""
        status = next((status for kind, status in _REFUSED if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        body = error_body(f"request: {exc}")
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {media.JSON}\r\nContent-Length: {len(body)}\r\n"
            f"{identity.HEADER}: {identity.from_environ(os.environ).header}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode("ascii") + body)
        except OSError as gone:
            self.log.debug("The peer left before it could be told of its error: %s", gone)
