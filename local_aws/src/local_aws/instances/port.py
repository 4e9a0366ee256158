"""A TCP port of this machine that nobody else is given while it is held."""

import errno
import random
import socket
from collections.abc import Iterable

# Below the range that kernels and Docker give away from. Docker goes through that range in turn and sets
# SO_REUSEADDR: it would listen on a port that is held here.
PORTS = range(20_000, 32_768)
TRIES = 500


class HeldPort:
    """A port on 127.0.0.1, bound but not listening.

    The kernel refuses it to whoever does not set SO_REUSEADDR, other held ports included, and nobody who asks
    for any port is given it; servers set SO_REUSEADDR (gunicorn, nginx, asyncio, http.server), so the one told
    may listen. Raises OSError when none of the ports tried is free.
    """

    def __init__(self, ports: Iterable[int] | None = None) -> None:
        self._socket = _bound(random.sample(PORTS, TRIES) if ports is None else ports)
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Let go of the port. Repeatable."""
        self._socket.close()


def _bound(ports: Iterable[int]) -> socket.socket:
    """Bind the first port that nobody has, and only then let a server that sets SO_REUSEADDR have it too."""
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
