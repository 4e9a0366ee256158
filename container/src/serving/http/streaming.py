"""Send an answer in parts: other requests run between two of them, and the whole has a time limit."""

import socket
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

_SHORTEST_TIMEOUT = 0.001  # seconds; 0 would make the socket non-blocking


class Run(Protocol):
    """Calls a function in the turn of its request, where the program runs."""

    def __call__(self, function: Callable[[], T]) -> T:
        """Return what `function` returns."""


class StreamTooLong(Exception):
    """A streamed answer took longer than its time limit; the text says how long that is."""


def parts(
    first: list[bytes],
    rest: Generator[bytes],
    run: Run,
    peer: socket.socket | None,
    *,
    deadline: float,
    seconds: int,
) -> Iterator[bytes]:
    """Yield `first`, then `rest`, making each part of `rest` by `run`.

    `deadline` is a time of time.monotonic(), `seconds` after the request came. A part that is ready later
    raises StreamTooLong: the connection breaks off, so that no caller takes what was sent for the whole.
    For a `peer` that does not read, sending raises TimeoutError at the deadline. `rest` is closed by `run`, too.
    """
    try:
        for part in first:
            _set_timeout(peer, deadline)
            yield part
        while (following := run(lambda: next(rest, None))) is not None:
            if time.monotonic() > deadline:
                raise StreamTooLong(f"the answer was not complete within {seconds} s")
            _set_timeout(peer, deadline)
            yield following
    finally:
        run(rest.close)


def _set_timeout(peer: socket.socket | None, deadline: float) -> None:
    """Limit how long `peer` may take to read; the server lifts this before the connection's next request."""
    if peer is not None:
        peer.settimeout(max(deadline - time.monotonic(), _SHORTEST_TIMEOUT))
