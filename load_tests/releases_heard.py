"""Which releases have answered, counted in every process that sends, and brought together in the one that shows."""

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing Locust replaces Python's sockets with gevent's
    from locust.env import Environment

KEY = "releases"  # in what a worker reports to its master


class ReleasesHeard:
    """Answers by release since they were last taken; workers send theirs to the master with their report."""

    def __init__(self, environment: "Environment") -> None:
        self._counts: Counter[str] = Counter()
        environment.events.request.add_listener(self._request)
        environment.events.report_to_master.add_listener(self._report)
        environment.events.worker_report.add_listener(self._merge)

    def take(self) -> dict[str, int]:
        """Return the answers by release since the last time."""
        taken, self._counts = self._counts, Counter()
        return dict(taken)

    def _request(self, context: dict[str, Any], **_: Any) -> None:
        if release := context.get("release"):
            self._counts[release] += 1

    def _report(self, data: dict[str, Any], **_: Any) -> None:
        data[KEY] = self.take()

    def _merge(self, data: dict[str, Any], **_: Any) -> None:
        self._counts.update(data.get(KEY, {}))
