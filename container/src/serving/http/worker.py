"""Gunicorn's threaded worker, with JSON errors, an orderly stop and, behind nginx, the batch server.

Behind nginx a worker listens on two sockets. All workers share the first, for /ping, /metrics and the other
routes; it has threads of its own, so that invocations never delay /ping. The second is for invocations. If
several can be answered together, it is the worker's own: nginx sends each request to the worker that has the
fewest, and the batch server answers it, or Flask for a user's program. Programs that take one request at a
time share that socket as well, and a worker accepts from it only while it is free.
"""

import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from serving.http import application, malformed, sockets, warm_up
from serving.http.batch_server import BatchServer
from serving.http.program_thread import ProgramThread
from serving.http.service import SERVICE, Service
from serving.http.slow_clients import HeadTimer
from serving.http.sockets import FreeWorkersSocket
from serving.http.stop_signals import STOP_SIGNALS
from serving.http.worker_start import LoadedWorkers
from serving.platform import devices, forks
from serving.platform.processes import SHARED_SOCKET

_OWN_SOCKETS_VARIABLE = "SERVE_OWN_SOCKETS"  # set by `serve`: where the workers' own sockets go
_DEVICES_VARIABLE = "SERVE_DEVICES"  # set by `serve`: its plan's GPUs
_FRONT_THREADS = 4  # for /ping and the like
_MOST_THREADS = 256  # that wait for a program which takes batches
_HUNG_SECONDS = 5  # beyond the time that a request may take


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker whose every error is JSON with the identity, and which accepts nothing while it stops."""

    def init_process(self) -> None:
        """Select this worker's GPU before anything uses one, and load the application."""
        device = devices.device_of_worker(
            self.index, tuple(filter(None, os.environ.get(_DEVICES_VARIABLE, "").split(",")))
        )
        if device is not None:
            os.environ[devices.VISIBLE_VARIABLE] = device
        super().init_process()

    def init_signals(self) -> None:
        """Unblock the signals that were blocked at the fork, now that there are handlers."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        names = [listener.getsockname() for listener in self.sockets]
        ports = {name[1] for name in names if not isinstance(name, str)}
        forks.keep_children_apart(self, Path(self.cfg.worker_tmp_dir), ports)

    sockets: list[Any]
    loaded: LoadedWorkers  # set by the master before it forks
    _own_name = ""
    _shared: FreeWorkersSocket | None = None
    _program: ProgramThread | None = None
    index = 0  # among the workers, from 0; a worker that replaces another takes its index

    def run(self) -> None:
        """Open this worker's own socket, and serve until told to stop."""
        self._service: Service = self.wsgi.extensions[SERVICE]
        self._batch_server: BatchServer | None = None
        self._batch_thread: threading.Thread | None = None
        self._invocations: ThreadPoolExecutor = self.tpool
        self._heads = HeadTimer()
        directory = os.environ.get(_OWN_SOCKETS_VARIABLE)
        if directory:
            self._open(Path(directory))
        if self.loaded.finish(self.index):
            print("serve: the model is loaded", flush=True)
        if self._service.handler.wants_main_thread:
            self._run_program(self._service)
        else:
            super().run()
        if self._batch_thread:
            self._batch_thread.join(self.cfg.graceful_timeout)

    def _run_program(self, service: Service) -> None:
        """Run the user's program on this thread, the main one, and everything else of the worker in another."""
        self._program = service.program_thread = ProgramThread(service)
        size = service.limits.batch_instances if service.handler.joining else 0
        if 2 * size > self.cfg.threads:  # one batch is predicted while the next arrives
            self._invocations = ThreadPoolExecutor(min(2 * size, _MOST_THREADS))
            if not self._own_name:
                self.tpool = self._invocations
        connections = threading.Thread(
            target=self._serve_connections, args=[self._program], name="connections", daemon=True
        )
        connections.start()
        self._program.run()
        if self._program.is_quitting:
            sys.exit(1)
        connections.join()

    def _serve_connections(self, program: ProgramThread) -> None:
        try:
            super().run()
        except BaseException:
            self.log.exception("The worker failed and is replaced")
            os._exit(1)
        finally:
            program.stop()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End with the current request, even if the program catches the exit that is raised in it."""
        self._quit_program()
        super().handle_quit(sig, frame)

    def handle_abort(self, sig: int, frame: Any) -> None:
        """End with the current request, even if the program catches the exit that is raised in it."""
        self._quit_program()
        super().handle_abort(sig, frame)

    def _quit_program(self) -> None:
        if self._program is not None:
            self._program.is_quitting = True

    def _open(self, directory: Path) -> None:
        """Listen for nginx's invocations."""
        shared = str(directory / SHARED_SOCKET)
        listeners = {listener.getsockname(): listener for listener in self.sockets}
        self.sockets = [listener for name, listener in listeners.items() if name != shared]
        if self._service.answers_one_at_a_time:
            self._shared = FreeWorkersSocket(listeners[shared], self.cfg.threads)
            self._service.on_stream = lambda peer: self.method_queue.defer(self._begin_stream, peer)
            self.tpool = ThreadPoolExecutor(_FRONT_THREADS, thread_name_prefix="front")
            return
        self._own_name = sockets.own_socket(directory, self.index)
        listener = sockets.listen(self._own_name)
        if self._service.handler.wants_main_thread or application.has_hooks(self.wsgi):
            if not self._service.handler.wants_main_thread and self.index == 0:
                self.log.warning(
                    "Flask answers every invocation, without batches, because a hook has to see each of them"
                )
            self.tpool = ThreadPoolExecutor(_FRONT_THREADS, thread_name_prefix="front")
            self.sockets = [*self.sockets, listener]
            return
        self._batch_server = BatchServer(
            listener, self._service, partial(application.error_response, self.wsgi)
        )
        with self._service.unrecorded():
            for one in warm_up.requests(self._service):
                self._batch_server.answer_one(one.as_http())
        self._batch_thread = threading.Thread(
            target=self._run_batch_server, args=[self._batch_server], name="batch-server", daemon=True
        )
        self._batch_thread.start()

    def _run_batch_server(self, server: BatchServer) -> None:
        try:
            server.run()
        except BaseException:
            self.log.exception("The batch server failed; this worker is replaced")
            os._exit(1)

    def enqueue_req(self, conn: TConn) -> None:
        """Run invocations in threads of their own."""
        if self._shared and conn.server == self._shared.name and not conn.initialized:
            self._shared.begin(conn.sock)
            self._update_shared()
        elif not self._own_name or conn.server != self._own_name:
            super().enqueue_req(conn)
            return
        done = self._invocations.submit(self.handle, conn)
        done.add_done_callback(lambda result: self.method_queue.defer(self.finish_request, conn, result))

    def handle(self, conn: TConn) -> Any:
        """Answer a request, whose head has limited time to come."""
        self._heads.begin(conn.sock)
        try:
            return super().handle(conn)
        finally:
            self._heads.end(conn.sock)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request, whose head is complete."""
        self._heads.end(conn.sock)
        return super().handle_request(req, conn)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Take another request from the shared socket, now that this one has been answered."""
        if self._shared:
            self._shared.end(conn.sock)
            self._update_shared()
        super().finish_request(conn, fs)

    def _begin_stream(self, peer: socket.socket) -> None:
        if self._shared:
            self._shared.begin_stream(peer)
            self._update_shared()

    def _update_shared(self) -> None:
        if self._shared:
            self._shared.update(self.poller, self.accept, may_accept=self._accepting and self.alive)

    def notify(self) -> None:
        """Report to the master about once a second that this worker is alive; exit if an invocation hangs."""
        super().notify()
        if not self.booted:
            return
        self._heads.cut()
        limit = self._service.limits.timeout_seconds + _HUNG_SECONDS
        if self._service.in_flight.longest() > limit:
            self.log.error("An invocation has run for more than %d s; this worker is replaced", limit)
            os._exit(1)
        if not self._service.is_fit:
            self._service.probe()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Close the listening sockets when stopping: otherwise new connections would never be answered."""
        super().set_accept_enabled(enabled)
        self._update_shared()
        if not self.alive:
            for listener in [*self.sockets, *([self._shared] if self._shared else [])]:
                listener.close()
            if self._batch_server:
                self._batch_server.stop()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that is not valid HTTP; leave other errors to gunicorn."""
        answer = malformed.answer(exc, os.environ)
        if answer is None:
            super().handle_error(req, client, addr, exc)
            return
        try:
            util.write_nonblock(client, answer)
        except OSError as gone:
            self.log.debug("The client closed the connection before its error was sent: %s", gone)
