"""A TCP port of this machine, reserved for one server."""

import errno
import random
import socket
from collections.abc import Iterable

# Below the range that kernels and Docker give away from. Docker goes through that range in turn and sets
# SO_REUSEADDR: it would listen on a port that is held here.
PORTS = range(20_000, 32_768)
TRIES = 500


class ReservedPort:
    """A port on 127.0.0.1, bound but not listening.

    The kernel refuses it to whoever does not set SO_REUSEADDR, other reserved ports included, and gives it to
    nobody who asks for any port; servers set SO_REUSEADDR (gunicorn, nginx, asyncio, http.server), so the server
    that knows the number may listen. Raises OSError when none of the ports tried is free.
    """

    def __init__(self, ports: Iterable[int] | None = None) -> None:
        self._socket = _bound(random.sample(PORTS, TRIES) if ports is None else ports)
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Release the port. Repeatable."""
        self._socket.close()


def _bound(ports: Iterable[int]) -> socket.socket:
    """Bind the first free port, and only then set SO_REUSEADDR, which lets the server bind it too."""
    for number in ports:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.bind(("127.0.0.1", number))
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return held
    raise OSError(errno.EADDRINUSE, f"None of the ports tried from {PORTS.start} to {PORTS.stop - 1} is free")
