"""A lock that is first in, first out.

`threading.Lock` goes to whichever thread asks first once it is free: a request that has just arrived can
take it before the threads that were already waiting, and some of them wait far too long.
"""

import threading
from collections import deque


class FairLock:
    """A lock for `with`, granted to the thread that has waited longest. Not reentrant."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """The number of threads that wait for the lock."""
        return len(self._waiting)

    def __enter__(self) -> None:
        with self._mutex:
            if not self._is_held:
                self._is_held = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # until the holder before opens it, and leaves the lock held

    def __exit__(self, *_error: object) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False
