"""Which threads of this worker are at work for a caller, and for how long already."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class InFlightTimer:
    """Threads sign in while they decode, predict and encode; the worker's main thread looks at the clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[int, float] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Signed in for the length of the block."""
        me = threading.get_ident()
        self._since[me] = self._now()
        try:
            yield
        finally:
            del self._since[me]

    def longest(self) -> float:
        """Seconds that the one who signed in first is at it, or 0."""
        began = list(self._since.values())  # a copy: others come and go meanwhile
        return self._now() - min(began) if began else 0.0
