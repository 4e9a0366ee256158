"""The load of a run over time, driven by a schedule."""

from gevent.event import Event
from locust import LoadTestShape

from load_tests.generators import Generators
from load_tests.recorder import Recorder
from load_tests.schedule import Phase, Schedule, is_saturated
from load_tests.timing import now


class ScheduleShape(LoadTestShape):  # type: ignore[misc] # locust is not type-checked
    """Holds each phase of the schedule for its time, then the next; `skip()` goes on at once.

    Abstract for Locust, which would otherwise use it in its web page, where a person sets the users.
    """

    abstract = True

    def __init__(self, schedule: Schedule, recorder: Recorder, generators: Generators) -> None:
        super().__init__()
        self._schedule, self._recorder, self._generators = schedule, recorder, generators
        self._position = -1
        self._skip = Event()
        self._is_stopped = False
        self._waits_for_users = generators.needs_users_first

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
        if self._waits_for_users:
            self._waits_for_users = False
            return self._users()
        if self._position >= 0:
            self._wait_for_end()
            if self._is_over():
                self._generators.finish()
                return None
        if self._is_stopped:
            return None
        self._position += 1
        self._recorder.begin_phase(self.phase.name, self.phase.offered, now=now(), cpu_seconds=0.0)
        self._generators.begin(self._position)
        return self._users()

    def _users(self) -> tuple[int, float]:
        """One user on each generator, which starts all of its requests."""
        return self._generators.count, float(self._generators.count)

    def _wait_for_end(self) -> None:
        record = self._recorder.phases[-1]
        while (left := record.started + self.phase.seconds - now()) > 0:
            if self._skip.wait(timeout=left):
                break
        self._skip.clear()

    def end_phase(self) -> None:
        """Close the phase that runs, if any, and say in one line what it was like."""
        record = self._recorder.phases[-1] if self._recorder.phases else None
        if record is None or record.finished is not None:
            return
        record.finished = now()
        self._generators.end()
        result = self._recorder.phase_result(record)
        p99 = "–" if result["p99_ms"] is None else f"{result['p99_ms']:.0f} ms"
        print(
            f"phase {record.name}: {record.offered_rps:g}/s offered, {result['achieved_rps']:.1f}/s answered, "
            f"p99 {p99}, {result['failures']} of {result['requests']} failed"
            + (f"; INVALID: {result['invalid']}" if result["invalid"] else ""),
            flush=True,
        )

    def _is_over(self) -> bool:
        """End the phase, and say whether it was the last, by schedule, by order or because more is pointless."""
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
