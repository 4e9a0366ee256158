"""Wait for a condition, with a bound."""

import time
from collections.abc import Callable

BOUND_SECONDS = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once the condition holds. Raises AssertionError after a minute."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
