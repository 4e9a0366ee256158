"""Clocks for tests: one that moves only when somebody sleeps, one that sleeps for a tenth of the time; and work done at once."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

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


class AtOnce(Executor):
    """Threads that are none: what is submitted is done when the caller goes on."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done
