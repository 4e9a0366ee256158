"""One at a time, in the order of coming.

`threading.Lock` goes to whoever asks first once it is free: a request that has just arrived gets it before
those that a thread was woken for, and some wait for far longer than the requests ahead of them take.
"""

import threading
from collections import deque


class FairLock:
    """A lock that is handed on to whoever has waited longest. To be used by `with`; not reentrant."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn now."""
        return len(self._waiting)

    def __enter__(self) -> None:
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # until the one before opens it, and leaves the turn taken

    def __exit__(self, *_error: object) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
