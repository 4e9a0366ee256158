"""The sockets behind nginx: each worker's own, and the one from which free workers take invocations."""

import contextlib
import fcntl
import resource
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

_BACKLOG = 2048
_HIGH = 8191  # a file descriptor above those of other files, until thousands are open


def own_socket(directory: Path, index: int) -> str:
    """Return the path of a worker's own socket, as in nginx.conf."""
    return str(directory / f"worker-{index}.sock")


def listen(path: str) -> socket.socket:
    """Listen at `path`, in place of the socket that an earlier worker left there."""
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    listener.bind(path)
    listener.listen(_BACKLOG)
    # The kernel closes a dying process's files from the highest descriptor down: this one closes before the
    # connections break, so that a client who retries is sent to another worker.
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    highest = _HIGH if allowed == resource.RLIM_INFINITY else min(allowed - 1, _HIGH)
    moved = socket.socket(fileno=fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, highest))
    listener.close()
    moved.setblocking(False)
    return moved


class FreeWorkersSocket:
    """A listening socket that all workers share: this one accepts only while its program is free.

    A request that finds every worker busy waits in the socket's queue for the first that is free, even if
    its work is for a caller who has gone. A stream leaves the worker free between its parts. Use it in one
    thread.
    """

    def __init__(self, listener: Any, most_connections: int) -> None:
        self.name: str = listener.getsockname()
        self._listener = listener
        self._most = most_connections
        self._open: set[socket.socket] = set()
        self._working: set[socket.socket] = set()
        self._is_listening = False

    @property
    def is_free(self) -> bool:
        """True if another request can be answered at once."""
        return not self._working and len(self._open) < self._most

    def begin(self, connection: socket.socket) -> None:
        """Count a request that has been accepted."""
        self._open.add(connection)
        self._working.add(connection)

    def begin_stream(self, connection: socket.socket) -> None:
        """Count its parts no longer: other requests are answered between them."""
        self._working.discard(connection)

    def end(self, connection: socket.socket) -> None:
        """Forget a request that has been answered."""
        self._open.discard(connection)
        self._working.discard(connection)

    def update(
        self, poller: selectors.BaseSelector, accept: Callable[[Any], None], *, may_accept: bool
    ) -> None:
        """Let `poller` call `accept` for new connections while the worker is free."""
        wanted = may_accept and self.is_free
        if wanted and not self._is_listening:
            self._listener.setblocking(False)
            poller.register(self._listener, selectors.EVENT_READ, accept)
        elif self._is_listening and not wanted:
            poller.unregister(self._listener)
        self._is_listening = wanted

    def close(self) -> None:
        """Close this worker's copy; the others go on to accept."""
        self._listener.close()
