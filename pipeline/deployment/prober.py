"""Send golden requests to an endpoint at an even rate while the caller waits, and time their answers."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from pipeline.aws import Answer, Clock
from pipeline.deployment.probe_rate import FIRST_PER_SECOND
from pipeline.errors import PipelineError

IN_FLIGHT = 16  # more unanswered requests than these are not sent


@dataclass(frozen=True)
class Probe:
    """One golden request, by its case number, and its answer, or the error without one.

    `sent_at`, on a monotonic clock, and `seconds` are measured by the caller: network and queues included.
    """

    number: int
    sent_at: float
    seconds: float
    answer: Answer | PipelineError


def enough_threads() -> Executor:
    """Return threads for every request that may be in flight."""
    return ThreadPoolExecutor(IN_FLIGHT)


@dataclass
class Prober:
    """Sends requests by case number, open loop: a slow answer delays no other request.

    Requests are evenly spaced, never in bursts: one whose time is past, because the caller was busy, is left out.
    `ask` sends one, on a thread of `callers`. Use it as a context: no request is begun after it.
    """

    ask: Callable[[int], Answer]
    clock: Clock
    callers: Executor
    per_second: float = FIRST_PER_SECOND
    sent: int = 0
    _due: float = 0.0
    _pending: list[Future[Probe]] = field(default_factory=list)

    def __enter__(self) -> "Prober":
        return self

    def __exit__(self, *_: object) -> None:
        self.callers.shutdown(wait=False, cancel_futures=True)

    def send_for(self, seconds: float) -> None:
        """Send requests for so many seconds, then return."""
        until = self.clock.monotonic() + seconds
        while (now := self.clock.monotonic()) < until:
            if now >= self._due:
                self._send(now)
            self.clock.sleep(max(min(self._due, until) - self.clock.monotonic(), 0.0))

    def collect(self) -> list[Probe]:
        """Return the requests that have been answered since the last time, in the order in which they were sent."""
        done = [each for each in self._pending if each.done()]
        self._pending = [each for each in self._pending if not each.done()]
        return [each.result() for each in done]

    def _send(self, now: float) -> None:
        gap = 1 / self.per_second
        self._due = self._due + gap if now - self._due < gap else now + gap
        if sum(not each.done() for each in self._pending) < IN_FLIGHT:
            self._pending.append(self.callers.submit(self._probe, self.sent))
            self.sent += 1

    def _probe(self, number: int) -> Probe:
        sent_at = self.clock.monotonic()
        try:
            answer: Answer | PipelineError = self.ask(number)
        except PipelineError as error:
            answer = error
        return Probe(number, sent_at, self.clock.monotonic() - sent_at, answer)
