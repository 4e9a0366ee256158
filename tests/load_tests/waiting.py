"""The one bounded wait of these tests."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], awaited: str, seconds: float = 20.0) -> None:
    """Return once `condition()` is true. Raises AssertionError, naming what was awaited, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {awaited} within {seconds:g} s"
        time.sleep(0.05)
