"""Choose how many golden requests a second a deployment sends: as many as the fleet answers without a queue. Pure.

A latency alone does not tell what a fleet can do: with a limited CPU (a container's quota) short requests are quick until
the quota is used up. So the rate doubles from a small one, as TCP's slow start does, while latencies stay as they were. At
a rate at which they grow, the fleet queues: the deployment takes BUSY_PART of that rate from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.deployment.judge.latency import TimedAnswer

FIRST_PER_SECOND = 4.0  # until the fleet's latency is known
BUSY_PART = 0.2  # of the fleet: the most that golden requests keep busy
ANSWERS_AT_A_RATE = 16  # from one doubling to the next
QUEUED_TIMES, QUEUED_SECONDS = (
    3.0,
    0.02,
)  # a latency of more than so many times the first one, and so much more, is a queue


@dataclass
class ProbeRate:
    """The rate that a fleet of so many instances bears, by its answers. `ceiling`: it is never exceeded, and only falls."""

    ceiling: float
    instances: int = 0
    per_second: float = FIRST_PER_SECOND
    _since: float = 0.0  # monotonic seconds: this rate has been in force since then
    _highest: float = 0.0  # the highest rate that was tried
    _first_seconds: float | None = None  # the latency at the first rate
    _answers: list[float] = field(default_factory=list)  # at this rate

    def __post_init__(self) -> None:
        self.per_second = min(self.per_second, self.ceiling)

    def note(self, answers: Sequence[TimedAnswer], now: float) -> None:
        """Take in answers of the old fleet; choose the next rate when enough were asked for at this one."""
        self._answers += [each.seconds for each in answers if each.sent_at >= self._since]
        if len(self._answers) < ANSWERS_AT_A_RATE:
            return
        seconds = max(_upper_quartile(self._answers), 0.001)
        self._answers.clear()
        if self._first_seconds is None:
            self._first_seconds = seconds
        if (
            self.per_second > self._highest
        ):  # a rate is suspected once, when it is new: many looks would err in the end
            self._highest = self.per_second
            if seconds > QUEUED_TIMES * self._first_seconds + QUEUED_SECONDS:
                self.ceiling = BUSY_PART * self.per_second
        by_latency = BUSY_PART * max(self.instances, 1) / seconds
        rate = min(2 * self.per_second, self.ceiling, by_latency)
        if rate != self.per_second:
            self.per_second, self._since = rate, now


def _upper_quartile(seconds: Sequence[float]) -> float:
    return sorted(seconds)[3 * len(seconds) // 4]
