"""Answers counted by release, in every process that sends, and summed in the process that shows them."""

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing Locust replaces Python's sockets with gevent's
    from locust.env import Environment

KEY = "releases"  # in what a worker reports to its master


class ReleaseCounter:
    """Answers by release since the last `take`; workers send theirs to the master with their report."""

    def __init__(self, environment: "Environment") -> None:
        self._counts: Counter[str] = Counter()
        environment.events.request.add_listener(self._on_request)
        environment.events.report_to_master.add_listener(self._on_report)
        environment.events.worker_report.add_listener(self._on_worker_report)

    def take(self) -> dict[str, int]:
        """Return the answers by release since the last call, and start again from zero."""
        taken, self._counts = self._counts, Counter()
        return dict(taken)

    def _on_request(self, context: dict[str, Any], **_: Any) -> None:
        if release := context.get("release"):
            self._counts[release] += 1

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        data[KEY] = self.take()

    def _on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        self._counts.update(data.get(KEY, {}))
