"""One run of a step: the environment, AWS, the build folder and the clock that every step carries."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.aws import Aws, Call
from pipeline.config import Environment

log = logging.getLogger(__name__)


class Clock:
    """The machine's clock; tests pass one that they move."""

    def now(self) -> float:
        """Return the time of day in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; durations are judged by it."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Run:
    """Everything that a step needs besides its own arguments."""

    env: Environment
    aws: Aws
    build: Path  # the folder in which steps leave files
    clock: Clock = field(default_factory=Clock)

    def apply(self, calls: Iterable[Call]) -> None:
        """Log each planned call, then make it. Raises AwsRefused or AwsUnreachable."""
        for call in calls:
            log.info(call.says)
            self.aws.apply(call)
