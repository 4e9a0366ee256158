"""Who sends: this process alone, or workers that a master leads and whose records it joins.

Locust carries the messages. The master tells each worker when a phase begins and ends; at its end a worker
answers with every request that it has recorded since, on the master's clock, so that percentiles are exact.
"""

import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent
from gevent.event import Event

from load_tests.arrivals import Arrivals
from load_tests.flights import Flights
from load_tests.recorder import Recorder
from load_tests.schedule import Schedule
from load_tests.timing import now

BEGIN, END, RECORDS = "begin-phase", "end-phase", "phase-records"
REPLY_SECONDS = (
    15.0  # in which a worker must have answered; at the end of all, what its last requests take more
)


class Generators(Protocol):
    """What the shape leads. `begin` and `end` go by the recorder's newest phase; `finish` waits for the last answers."""

    needs_users_first: bool  # they exist only after the first tick of the shape

    @property
    def count(self) -> int: ...
    def begin(self, position: int) -> None: ...
    def end(self) -> None: ...
    def finish(self) -> None: ...


class OneGenerator:
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
        """Nothing is elsewhere: whoever ends the run waits for what is under way."""


class Crew:
    """The workers, as their master sees them. `finish_seconds`: how long the last requests may take."""

    needs_users_first = True

    def __init__(self, runner: Any, recorder: Recorder, finish_seconds: float) -> None:
        self._runner, self._recorder, self._finish_seconds = runner, recorder, finish_seconds
        self._members: list[str] = []  # of the phase that runs
        self._awaited: set[str] = set()
        self._all_in = Event()
        self._busiest_percent = 0.0
        runner.register_message(RECORDS, self._on_records)

    @property
    def count(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        clients = self._runner.clients
        return sorted(worker.id for worker in (*clients.ready, *clients.spawning, *clients.running))

    def begin(self, position: int) -> None:
        self._members = self._names()
        for index, name in enumerate(self._members):
            order = {"position": position, "index": index, "count": len(self._members), "now": now()}
            self._runner.send_message(BEGIN, order, name)

    def end(self) -> None:
        """Gather what the workers have recorded; a worker that does not answer makes the phase invalid."""
        phase = self._recorder.phases[-1]
        self._gather(is_last=False, seconds=REPLY_SECONDS)
        assert phase.finished is not None, f"phase {phase.name} still runs"
        phase.cpu_at_end = phase.cpu_at_start + self._busiest_percent / 100 * (phase.finished - phase.started)

    def finish(self) -> None:
        self._gather(is_last=True, seconds=REPLY_SECONDS + self._finish_seconds)

    def _gather(self, *, is_last: bool, seconds: float) -> None:
        there = set(self._names()) & set(self._members)
        self._awaited, self._all_in, self._busiest_percent = set(there), Event(), 0.0
        self._runner.send_message(END, {"is_last": is_last})
        if there:
            self._all_in.wait(timeout=seconds)
        silent = len(self._members) - len(there) + len(self._awaited)
        if silent or not there:
            trouble = f"{silent} of {len(self._members)} workers did not report what they sent"
            self._recorder.phases[-1].trouble = trouble
            print(trouble, file=sys.stderr, flush=True)

    def _on_records(self, msg: Any, **_: Any) -> None:
        self._recorder.join(msg.data)
        self._busiest_percent = max(self._busiest_percent, msg.data["cpu_percent"])
        self._awaited.discard(msg.node_id)
        if not self._awaited:
            self._all_in.set()


class Worker:
    """One worker: does what its master says."""

    def __init__(
        self,
        runner: Any,
        schedule: Schedule,
        recorder: Recorder,
        arrivals: Arrivals,
        flights: Flights,
        cpu_seconds: Callable[[], float],
        finish_seconds: float,
    ) -> None:
        self._runner, self._schedule, self._recorder = runner, schedule, recorder
        self._arrivals, self._flights, self._cpu_seconds = arrivals, flights, cpu_seconds
        self._finish_seconds = finish_seconds
        self._ahead = 0.0  # of the master's clock, in seconds
        self._sent = 0
        runner.register_message(BEGIN, self._on_begin)
        runner.register_message(END, self._on_end)

    def _on_begin(self, msg: Any, **_: Any) -> None:
        order, phase = msg.data, self._schedule.phases[msg.data["position"]]
        self._ahead = now() - order["now"]
        self._recorder.begin_phase(phase.name, phase.offered, now=now(), cpu_seconds=self._cpu_seconds())
        record = self._recorder.phases[-1]
        self._arrivals.begin(phase, record, index=order["index"], count=order["count"])

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
            self._flights.land(self._finish_seconds)
        records = records_of(self._recorder, self._sent, ahead=self._ahead)
        self._sent = len(self._recorder.starts)
        self._runner.send_message(RECORDS, records | {"cpu_percent": cpu_percent})


def records_of(recorder: Recorder, since: int, *, ahead: float) -> dict[str, Any]:
    """Return the requests from index `since` on as bytes, 19 each, and who has answered so far.

    `ahead`: seconds that the recorder's clock is ahead of the one that the result is to be on.
    """
    starts: Sequence[float] = recorder.starts[since:]
    return {
        "starts": array("d", (at - ahead for at in starts)).tobytes(),
        "durations": recorder.durations[since:].tobytes(),
        "lags": recorder.lags[since:].tobytes(),
        "errors": recorder.errors[since:].tobytes(),
        "sides": recorder.sides[since:].tobytes(),
        "sentences": recorder.sentences,
        "first_heard": {instance: at - ahead for instance, at in recorder.first_heard.items()},
        "heard": recorder.take_identities(),
    }
