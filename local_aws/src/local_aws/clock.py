"""AWS's time on this machine: durations AWS owns pass `scale` times faster than the wall clock."""

import asyncio
import time


class Clock:
    """Wall-clock timestamps, scaled durations."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def now(self) -> float:
        """Return epoch seconds, never scaled."""
        return time.time()

    def real(self, aws_seconds: float) -> float:
        """Convert AWS seconds to real seconds."""
        return aws_seconds / self.scale

    async def sleep(self, aws_seconds: float) -> None:
        """Sleep for AWS seconds."""
        await asyncio.sleep(self.real(aws_seconds))
