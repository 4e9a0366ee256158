"""The machine's clock, and how many of AWS's seconds pass in one of its seconds."""

import time
from collections.abc import Mapping


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


def time_scale(environ: Mapping[str, str]) -> float | None:
    """Return AWS's seconds per second: AWS_SECONDS_PER_SECOND if it is set, else 1 where AWS itself answers."""
    if scale := environ.get("AWS_SECONDS_PER_SECOND"):
        return float(scale)
    return None if any(name.startswith("AWS_ENDPOINT_URL") for name in environ) else 1.0
