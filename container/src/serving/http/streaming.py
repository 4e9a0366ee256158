"""An answer that goes out in parts: others have their turn between two of them, and it ends in time."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

_MOMENT = 0.001  # seconds: as short as a time limit can be that does not mean "do not wait"


class StreamTooLong(Exception):  # named for what happened
    """The time for the whole of an answer is over; the text says how much it was."""


def parts(
    first: list[bytes],
    rest: Iterator[bytes],
    at_work: Callable[[], AbstractContextManager[object]],
    peer: socket.socket | None,
    *,
    deadline: float,
    seconds: int,
) -> Iterator[bytes]:
    """`first` in any case, then `rest`, each part of which is made within `at_work()`.

    Raises StreamTooLong where a part of `rest` is ready after `deadline` (of time.monotonic(), `seconds`
    after the request came): the connection breaks off, so that nobody takes what was sent for the whole.
    A `peer` that does not read is waited for no longer than that either: sending to it raises TimeoutError.
    """
    for part in first:
        _wait_no_longer(peer, deadline)
        yield part
    while True:
        with at_work():
            following = next(rest, None)
        if following is None:
            return
        if time.monotonic() > deadline:
            raise StreamTooLong(f"the answer was not complete within {seconds} s")
        _wait_no_longer(peer, deadline)
        yield following


def _wait_no_longer(peer: socket.socket | None, deadline: float) -> None:
    """For `peer` to read; the server lifts this before the connection's next request."""
    if peer is not None:
        peer.settimeout(max(deadline - time.monotonic(), _MOMENT))
