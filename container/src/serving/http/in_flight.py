"""Find invocations that run for too long: a worker that hangs is replaced."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class InFlightTimer:
    """The start times of the invocations that this worker's threads are running."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started: dict[int, float] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time the block, which runs in the calling thread."""
        thread = threading.get_ident()
        self._started[thread] = self._now()
        try:
            yield
        finally:
            del self._started[thread]

    def longest(self) -> float:
        """Return how many seconds the oldest running block has taken, or 0."""
        started = list(self._started.values())  # a copy: other threads change it meanwhile
        return self._now() - min(started) if started else 0.0
