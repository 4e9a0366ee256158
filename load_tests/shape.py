"""The load of a run over time, driven by a schedule."""

from collections.abc import Callable

import gevent
from gevent.event import Event
from locust import LoadTestShape

from load_tests.recorder import Recorder
from load_tests.schedule import Phase, Schedule, is_saturated
from load_tests.timing import now

BURST = 20  # requests started before the others get a turn, when the generator is behind


class ScheduleShape(LoadTestShape):  # type: ignore[misc] # locust is not type-checked
    """Holds each phase of the schedule for its time, then the next; `skip()` goes on at once.

    Abstract for Locust, which would otherwise use it in its web page, where a person sets the users.
    """

    abstract = True

    def __init__(self, schedule: Schedule, recorder: Recorder, cpu_seconds: Callable[[], float]) -> None:
        super().__init__()
        self._schedule, self._recorder, self._cpu_seconds = schedule, recorder, cpu_seconds
        self._position = -1
        self._skip, self._began, self._over = Event(), Event(), Event()
        self._is_stopped = False

    @property
    def phase(self) -> Phase:
        return self._schedule.phases[max(self._position, 0)]

    def skip(self) -> None:
        """End the phase that runs now."""
        self._skip.set()

    def stop(self) -> None:
        """End the run now."""
        self._is_stopped = True
        self._skip.set()

    def tick(self) -> tuple[int, float] | None:
        """Return users and spawn rate of the next phase once the present one is over; None ends the run.

        It blocks: Locust looks once a second, this is punctual.
        """
        if self._position >= 0:
            self._wait_for_end()
            if self._is_pointless_to_go_on():
                return None
        if self._is_stopped:
            return None
        if self._position + 1 == len(self._schedule.phases):
            return None
        self._position += 1
        self._recorder.begin_phase(
            self.phase.name,
            self.phase.offered,
            now=now(),
            cpu_seconds=self._cpu_seconds(),
        )
        self._over = Event()
        self._began.set()
        return 1, 1.0  # one user starts all requests

    def _wait_for_end(self) -> None:
        record = self._recorder.phases[-1]
        while (left := record.started + self.phase.seconds - now()) > 0:
            if self._skip.wait(timeout=left):
                break
        self._skip.clear()

    def offer(self, start: Callable[[float], object]) -> None:
        """Start each request of the phase that runs when it is due, by `start(intended epoch s)`.

        A request whose time has passed is started at once: none is left out, however late the generator is.
        Returns when the phase has ended, or another is to be offered.
        """
        if not self._began.wait(timeout=0.2):
            return
        self._began.clear()
        over, record = self._over, self._recorder.phases[-1]
        if self._position == 0:
            record.started = now()  # Locust took some time to make the user that is here
        for number, offset in enumerate(self.phase.starts()):
            if number % BURST == 0:
                gevent.sleep(0)
            if over.wait(timeout=max(record.started + offset - now(), 0)):
                return
            start(record.started + offset)

    def end_phase(self) -> None:
        """Close the phase that runs, if any, and say in one line what it was like."""
        record = self._recorder.phases[-1] if self._recorder.phases else None
        if record is None or record.finished is not None:
            return
        self._over.set()
        self._recorder.end_phase(now=now(), cpu_seconds=self._cpu_seconds())
        result = self._recorder.phase_result(record)
        p99 = "–" if result["p99_ms"] is None else f"{result['p99_ms']:.0f} ms"
        print(
            f"phase {record.name}: {record.offered_rps:g}/s offered, {result['achieved_rps']:.1f}/s answered, "
            f"p99 {p99}, {result['failures']} of {result['requests']} failed"
            + (f"; INVALID: {result['invalid']}" if result["invalid"] else ""),
            flush=True,
        )

    def _is_pointless_to_go_on(self) -> bool:
        self.end_phase()
        result = self._recorder.phase_result(self._recorder.phases[-1])
        return is_saturated(
            self._schedule,
            offered=result["offered_rps"],
            achieved=result["achieved_rps"],
            p99_ms=result["p99_ms"],
            error_percent=100 * result["failures"] / max(result["requests"], 1),
        )
