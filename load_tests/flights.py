"""Requests under way, none of which is cut off by the end of a phase or of the run."""

from collections.abc import Callable

import gevent
from gevent.pool import Group


class Flights:
    """Requests in greenlets of their own, so that nobody who ends a user ends its request.

    Locust kills users that it takes to be waiting, a turn of the event loop after it has looked. A user whose
    time has come within that turn has sent its request by then: the endpoint answers, and nobody counts it.
    """

    def __init__(self) -> None:
        self._under_way: Group = Group()

    def __len__(self) -> int:
        return len(self._under_way)

    def start(self, request: Callable[[], None]) -> gevent.Greenlet:
        """Begin a request and return at once."""
        return self._under_way.spawn(request)

    def land(self, seconds: float) -> None:
        """Wait until every request under way has ended. Raises TimeoutError after `seconds`."""
        if not self._under_way.join(timeout=seconds):
            raise TimeoutError(
                f"{len(self)} requests had no end {seconds:g} s after the load's: result is short"
            )
