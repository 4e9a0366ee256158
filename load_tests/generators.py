"""The processes that send: this one alone, or Locust workers whose records their master joins.

Locust carries the messages. The master tells each worker when a phase begins and ends. When it ends a worker
answers with every request recorded since the last report, on the master's clock, so that percentiles are exact.
"""

import logging
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent
from gevent.event import Event

from load_tests.arrivals import Arrivals
from load_tests.pending_requests import PendingRequests
from load_tests.recorder import Recorder
from load_tests.schedule import Schedule
from load_tests.timing import now

BEGIN, END, RECORDS = "begin-phase", "end-phase", "phase-records"
REPLY_SECONDS = 15.0  # for a worker to answer; the last report may take as long again as its last requests

log = logging.getLogger(__name__)


class Generator(Protocol):
    """The sender of the requests of the recorder's newest phase; `finish` waits for the last answers."""

    needs_users_first: bool  # its workers exist only after the first tick of the shape

    @property
    def count(self) -> int: ...
    def begin(self, position: int) -> None: ...
    def end(self) -> None: ...
    def finish(self) -> None: ...


class LocalGenerator:
    """This process."""

    count = 1
    needs_users_first = False

    def __init__(
        self, schedule: Schedule, recorder: Recorder, arrivals: Arrivals, cpu_seconds: Callable[[], float]
    ) -> None:
        self._schedule, self._recorder, self._arrivals = schedule, recorder, arrivals
        self._cpu_seconds = cpu_seconds

    def begin(self, position: int) -> None:
        record = self._recorder.phases[-1]
        record.cpu_at_start = self._cpu_seconds()
        self._arrivals.begin(self._schedule.phases[position], record)

    def end(self) -> None:
        self._arrivals.end()
        self._recorder.phases[-1].cpu_at_end = self._cpu_seconds()

    def finish(self) -> None:
        """Do nothing: the listener of Locust's `test_stop` joins the pending requests."""


class MasterGenerator:
    """The workers of a Locust master. `finish_seconds`: how long the last requests may take."""

    needs_users_first = True

    def __init__(self, runner: Any, recorder: Recorder, finish_seconds: float) -> None:
        self._runner, self._recorder, self._finish_seconds = runner, recorder, finish_seconds
        self._phase_workers: list[str] = []
        self._awaited: set[str] = set()
        self._all_replied = Event()
        self._busiest_percent = 0.0
        runner.register_message(RECORDS, self._on_records)

    @property
    def count(self) -> int:
        return len(self._worker_ids())

    def _worker_ids(self) -> list[str]:
        clients = self._runner.clients
        return sorted(worker.id for worker in (*clients.ready, *clients.spawning, *clients.running))

    def begin(self, position: int) -> None:
        self._phase_workers = self._worker_ids()
        for index, worker in enumerate(self._phase_workers):
            share = {"position": position, "index": index, "count": len(self._phase_workers), "now": now()}
            self._runner.send_message(BEGIN, share, worker)

    def end(self) -> None:
        """Gather the workers' records; a worker that does not answer makes the phase invalid."""
        phase = self._recorder.phases[-1]
        self._gather(is_last=False, seconds=REPLY_SECONDS)
        assert phase.finished is not None, f"phase {phase.name} still runs"
        phase.cpu_at_end = phase.cpu_at_start + self._busiest_percent / 100 * (phase.finished - phase.started)

    def finish(self) -> None:
        self._gather(is_last=True, seconds=REPLY_SECONDS + self._finish_seconds)

    def _gather(self, *, is_last: bool, seconds: float) -> None:
        connected = set(self._worker_ids()) & set(self._phase_workers)
        self._awaited, self._all_replied, self._busiest_percent = set(connected), Event(), 0.0
        self._runner.send_message(END, {"is_last": is_last})
        if connected:
            self._all_replied.wait(timeout=seconds)
        missing = len(self._phase_workers) - len(connected) + len(self._awaited)
        if missing or not connected:
            reason = f"{missing} of {len(self._phase_workers)} workers did not report their requests"
            self._recorder.phases[-1].incomplete = reason
            log.warning(reason)

    def _on_records(self, msg: Any, **_: Any) -> None:
        self._recorder.join(msg.data)
        self._busiest_percent = max(self._busiest_percent, msg.data["cpu_percent"])
        self._awaited.discard(msg.node_id)
        if not self._awaited:
            self._all_replied.set()


class WorkerGenerator:
    """A Locust worker: begins and ends phases when its master says so, and reports its records."""

    def __init__(
        self,
        runner: Any,
        schedule: Schedule,
        recorder: Recorder,
        arrivals: Arrivals,
        pending: PendingRequests,
        cpu_seconds: Callable[[], float],
        finish_seconds: float,
    ) -> None:
        self._runner, self._schedule, self._recorder = runner, schedule, recorder
        self._arrivals, self._pending, self._cpu_seconds = arrivals, pending, cpu_seconds
        self._finish_seconds = finish_seconds
        self._clock_offset = 0.0  # seconds that this process's clock is ahead of the master's
        self._reported = 0
        runner.register_message(BEGIN, self._on_begin)
        runner.register_message(END, self._on_end)

    def _on_begin(self, msg: Any, **_: Any) -> None:
        share, phase = msg.data, self._schedule.phases[msg.data["position"]]
        self._clock_offset = now() - share["now"]
        self._recorder.begin_phase(phase.name, phase.offered, now=now(), cpu_seconds=self._cpu_seconds())
        record = self._recorder.phases[-1]
        self._arrivals.begin(phase, record, index=share["index"], count=share["count"])

    def _on_end(self, msg: Any, **_: Any) -> None:
        self._arrivals.end()
        self._recorder.end_phase(now=now(), cpu_seconds=self._cpu_seconds())
        record = self._recorder.phases[-1]
        assert record.finished is not None, "it was just closed"
        percent = (
            100 * (record.cpu_at_end - record.cpu_at_start) / max(record.finished - record.started, 1e-9)
        )
        gevent.spawn(self._report, percent, is_last=msg.data["is_last"])

    def _report(self, cpu_percent: float, *, is_last: bool) -> None:
        if is_last:
            self._pending.join(self._finish_seconds)
        records = new_records(self._recorder, self._reported, clock_offset=self._clock_offset)
        self._reported = len(self._recorder.starts)
        self._runner.send_message(RECORDS, records | {"cpu_percent": cpu_percent})


def new_records(recorder: Recorder, since: int, *, clock_offset: float) -> dict[str, Any]:
    """Return the requests from index `since` on as bytes, 19 each, and the answers counted since the last call.

    `clock_offset`: seconds that the recorder's clock is ahead of the result's.
    """
    starts: Sequence[float] = recorder.starts[since:]
    return {
        "starts": array("d", (at - clock_offset for at in starts)).tobytes(),
        "durations": recorder.durations[since:].tobytes(),
        "lags": recorder.lags[since:].tobytes(),
        "errors": recorder.errors[since:].tobytes(),
        "sides": recorder.sides[since:].tobytes(),
        "sentences": recorder.sentences,
        "first_answers": {instance: at - clock_offset for instance, at in recorder.first_answers.items()},
        "identities": recorder.take_identities(),
    }
