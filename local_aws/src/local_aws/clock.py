"""AWS's time on this machine: durations AWS owns pass `scale` times faster than the machine's clock.

Time is counted by a monotonic clock from the moment at which this AWS started, so setting the machine's clock silences
no alarm and repeats no period. Clients read and send the machine's own time: `shift` is the difference.
"""

import asyncio
import time
from collections.abc import Callable

SMALLEST_SHIFT_SECONDS = 1.0  # below it the two clocks differ by their reading


class Clock:
    """Timestamps that never go back, and scaled durations."""

    def __init__(
        self,
        scale: float,
        machine: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scale = scale
        self._machine, self._monotonic = machine, monotonic
        self._began = machine() - monotonic()

    def now(self) -> float:
        """Return epoch seconds, never scaled; those of the machine's clock as it was at the start, gone on."""
        return self._began + self._monotonic()

    def shift(self) -> float:
        """Return the seconds by which the machine's clock was set forward since the start; below 0 for back."""
        shift = self._machine() - self._monotonic() - self._began
        return shift if abs(shift) >= SMALLEST_SHIFT_SECONDS else 0.0

    def machine_time(self) -> float:
        """Return epoch seconds as the machine's clock, and so every client, has them now."""
        return self.now() + self.shift()

    def real(self, aws_seconds: float) -> float:
        """Convert AWS seconds to real seconds."""
        return aws_seconds / self.scale

    async def sleep(self, aws_seconds: float) -> None:
        """Sleep for AWS seconds."""
        await asyncio.sleep(self.real(aws_seconds))
