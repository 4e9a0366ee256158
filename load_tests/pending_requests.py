"""Requests under way; neither the end of a phase nor the end of the run cuts one off."""

from collections.abc import Callable

import gevent
from gevent.pool import Group


class PendingRequests:
    """Requests in greenlets of their own, so that ending a user does not end its request.

    Locust kills users that seem to be waiting one turn of the event loop after it has checked. In that turn a user
    may have sent its request: the endpoint would answer, and no result would count it.
    """

    def __init__(self) -> None:
        self._greenlets: Group = Group()

    def __len__(self) -> int:
        return len(self._greenlets)

    def start(self, request: Callable[[], None]) -> gevent.Greenlet:
        """Begin a request and return at once."""
        return self._greenlets.spawn(request)

    def join(self, seconds: float) -> None:
        """Wait until every request has ended. Raises TimeoutError after `seconds`."""
        if not self._greenlets.join(timeout=seconds):
            raise TimeoutError(
                f"{len(self)} requests were still running {seconds:g} s after the load ended: the result lacks them"
            )
