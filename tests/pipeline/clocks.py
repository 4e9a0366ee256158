"""Clocks for tests: one that moves only when somebody sleeps, one that sleeps for a tenth of the time."""

import time

from pipeline.aws import Clock


class FakeClock(Clock):
    """A clock that stands still but for the sleeps, which it notes."""

    def __init__(self, at: float = 0.0) -> None:
        self.at, self.slept = at, list[float]()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class HastyClock(Clock):
    """The machine's clock, for waits that may be a tenth as long."""

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 10)
