"""Open-loop arrivals: each request of a phase starts when it is due, whether or not earlier ones were answered."""

from collections.abc import Callable

import gevent
from gevent.event import Event

from load_tests.recorder import PhaseRecord
from load_tests.schedule import Phase
from load_tests.timing import now

BURST = 20  # requests started before other greenlets run, when the generator is behind


class Arrivals:
    """The requests of the running phase; each of several generators starts every `count`-th one."""

    def __init__(self) -> None:
        self._began, self._over = Event(), Event()
        self._current: tuple[Phase, PhaseRecord, int, int] | None = None
        self._is_first = True

    def begin(self, phase: Phase, record: PhaseRecord, *, index: int = 0, count: int = 1) -> None:
        """Let `offer` start this phase's requests from `record.started` on."""
        self._current, self._over = (phase, record, index, count), Event()
        self._began.set()

    def end(self) -> None:
        """Start no further request of this phase."""
        self._over.set()

    def offer(self, start: Callable[[float], object]) -> None:
        """Call `start(intended epoch s)` for each request of the running phase when it is due.

        A request whose time has passed is started at once: none is left out, however late the generator is.
        Returns when the phase has ended, or when no phase began within 0.2 s.
        """
        if not self._began.wait(timeout=0.2):
            return
        self._began.clear()
        assert self._current is not None, "a phase has begun"
        over, (phase, record, index, count) = self._over, self._current
        if self._is_first:  # Locust took some time to make the user that runs this
            record.started, self._is_first = now(), False
        for number, offset in enumerate(phase.starts()):
            if number % count != index:
                continue
            if number % BURST == index:
                gevent.sleep(0)
            if over.wait(timeout=max(record.started + offset - now(), 0)):
                return
            start(record.started + offset)
