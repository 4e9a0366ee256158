"""The one thread of a user's program: every request and every part of a stream, first in, first out.

AWS's container imports the program, loads the model and answers all requests on its process's main thread,
and programs rely on it: signal.alarm works nowhere else, and grad mode, NumPy's error state, sqlite's
connections and event loops belong to a thread. Flask's threads read requests and send answers.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from serving.handlers.context import Call
from serving.handlers.errors import HandlerFailed
from serving.http.batching import PendingRequest, answer_all
from serving.http.service import Service

T = TypeVar("T")
_LONGEST_WAIT_SECONDS = (
    0.2  # gunicorn lets SIGTERM interrupt no system call: its handler runs between two waits
)


class WorkerStopped(Exception):
    """A request that came after the worker had stopped answering."""


@dataclass(frozen=True)
class _Job:
    """A request, whose reply ends `done`, or a function to run for one that is being answered."""

    done: "Future[Any]"
    request: PendingRequest | None = None
    function: Callable[[], Any] | None = None
    call: Call | None = None


class ProgramThread:
    """Runs what the other threads ask for; call `run` on the thread that loaded the program."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._is_stopped = self._has_ended = False
        self.is_quitting = False  # set by a signal's handler: the process ends with the current job

    @property
    def waiting(self) -> int:
        """The number of requests and parts of streams that wait for their turn."""
        return len(self._jobs)

    def submit(self, request: PendingRequest, done: "Future[Any]") -> None:
        """Let the request be answered in its turn. `done` fails if its `reply` is not called."""
        self._append(_Job(done, request=request))

    def call(self, function: Callable[[], T], call: Call) -> T:
        """Return what `function` returns in its turn; `call` is the request that it is for."""
        done: Future[T] = Future()
        self._append(_Job(done, function=function, call=call))
        return done.result()

    def run(self) -> None:
        """Run jobs until `stop` is called; whoever asks for one later gets WorkerStopped."""
        try:
            while not self.is_quitting and (jobs := self._take()):
                with self._service.in_flight.running():
                    _run(jobs, self._service)
        finally:
            with self._changed:
                self._has_ended = True
                for job in self._jobs:
                    job.done.set_exception(WorkerStopped())

    def stop(self) -> None:
        """Let `run` return after the jobs that are waiting."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _append(self, job: _Job) -> None:
        with self._changed:
            if self._has_ended:
                job.done.set_exception(WorkerStopped())
                return
            self._jobs.append(job)
            self._changed.notify_all()

    def _take(self) -> list[_Job]:
        """Wait for jobs; return the first, with the requests right behind it that may be in its batch."""
        with self._changed:
            while not (self._jobs or self._is_stopped or self.is_quitting):
                self._changed.wait(_LONGEST_WAIT_SECONDS)
            if not self._jobs:
                return []
            most = self._service.limits.batch_instances if self._service.handler.joining else 1
            delay = self._service.limits.batch_delay_seconds
            if most > 1 and delay and self._jobs[0].request:
                deadline = time.monotonic() + delay
                self._changed.wait_for(
                    lambda: self._is_stopped or len(self._jobs) >= most, deadline - time.monotonic()
                )
            jobs = [self._jobs.popleft()]
            while jobs[0].request and self._jobs and self._jobs[0].request and len(jobs) < most:
                jobs.append(self._jobs.popleft())
            return jobs


def _run(jobs: list[_Job], service: Service) -> None:
    """Run a function or answer requests. What is raised goes to the threads that wait for the jobs."""
    try:
        first = jobs[0]
        if first.function:
            service.handler.begin(first.call or Call())
            first.done.set_result(first.function())
        else:
            answer_all([job.request for job in jobs if job.request], service)
    except BaseException as error:  # this thread goes on to serve others, and theirs do, too
        failure = error if isinstance(error, Exception) else HandlerFailed(f"{type(error).__name__}: {error}")
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(failure)
