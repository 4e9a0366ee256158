"""A schedule as a Locust load shape: it advances phase by phase."""

import logging

from gevent.event import Event
from locust import LoadTestShape

from load_tests.generators import Generator
from load_tests.recorder import Recorder
from load_tests.schedule import Phase, Schedule, is_saturated
from load_tests.timing import now

log = logging.getLogger(__name__)


class ScheduleShape(LoadTestShape):  # type: ignore[misc] # locust is not type-checked
    """A load shape that holds each phase of the schedule for its time; `skip()` goes on to the next at once.

    Abstract for Locust, which would otherwise use it in its web page, where a person sets the users.
    """

    abstract = True

    def __init__(self, schedule: Schedule, recorder: Recorder, generator: Generator) -> None:
        super().__init__()
        self._schedule, self._recorder, self._generator = schedule, recorder, generator
        self._position = -1
        self._skip = Event()
        self._is_stopped = False
        self._waits_for_users = generator.needs_users_first

    @property
    def phase(self) -> Phase:
        return self._schedule.phases[max(self._position, 0)]

    def skip(self) -> None:
        """End the running phase now."""
        self._skip.set()

    def stop(self) -> None:
        """End the run now."""
        self._is_stopped = True
        self._skip.set()

    def tick(self) -> tuple[int, float] | None:
        """Return users and spawn rate of the next phase once the present one is over; None ends the run.

        It blocks until then: Locust calls it only once a second, which would make phases end late.
        """
        if self._waits_for_users:
            self._waits_for_users = False
            return self._users()
        if self._position >= 0:
            self._wait_for_end()
            if self._end_phase_and_check_run_over():
                self._generator.finish()
                return None
        if self._is_stopped:
            return None
        self._position += 1
        self._recorder.begin_phase(self.phase.name, self.phase.offered, now=now(), cpu_seconds=0.0)
        self._generator.begin(self._position)
        return self._users()

    def _users(self) -> tuple[int, float]:
        """Return one user for each generating process; it starts all requests of that process."""
        return self._generator.count, float(self._generator.count)

    def _wait_for_end(self) -> None:
        record = self._recorder.phases[-1]
        while (left := record.started + self.phase.seconds - now()) > 0:
            if self._skip.wait(timeout=left):
                break
        self._skip.clear()

    def end_phase(self) -> None:
        """Close the running phase, if there is one, and log its figures in one line.

        The pipeline reads these lines from Locust's output: they begin with "phase NAME: ".
        """
        record = self._recorder.phases[-1] if self._recorder.phases else None
        if record is None or record.finished is not None:
            return
        record.finished = now()
        self._generator.end()
        result = self._recorder.phase_result(record)
        p99 = "–" if result["p99_ms"] is None else f"{result['p99_ms']:.0f} ms"
        log.info(
            f"phase {record.name}: {record.offered_rps:g}/s offered, {result['achieved_rps']:.1f}/s answered, "
            f"p99 {p99}, {result['failures']} of {result['requests']} failed"
            + (f"; INVALID: {result['invalid']}" if result["invalid"] else "")
        )

    def _end_phase_and_check_run_over(self) -> bool:
        """Close the phase; return True if it was the last, if the run was stopped, or if a higher rate is pointless."""
        self.end_phase()
        if self._is_stopped or self._position + 1 == len(self._schedule.phases):
            return True
        result = self._recorder.phase_result(self._recorder.phases[-1])
        return is_saturated(
            self._schedule,
            offered=result["offered_rps"],
            achieved=result["achieved_rps"],
            p99_ms=result["p99_ms"],
            error_percent=100 * result["failures"] / max(result["requests"], 1),
        )
