"""Bounded waits for something that happens in another process or task."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


def wait_until(
    condition: Callable[[], Any], what: str, seconds: float = 20.0, poll_seconds: float = 0.01
) -> Any:
    """Poll `condition` until it returns something true, and return that.

    Raises TimeoutError, which names `what`, when `seconds` (real) have passed.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(poll_seconds)
    return value


async def wait_until_async(
    condition: Callable[[], Any], what: str, seconds: float = 10.0, poll_seconds: float = 0.01
) -> Any:
    """Do the same within an event loop; `condition` may also return an awaitable."""
    end = time.monotonic() + seconds
    while not (value := await _result(condition())):
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(poll_seconds)
    return value


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
