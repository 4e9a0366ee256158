"""A TCP port of this machine that nobody else is given while it is held."""

import socket


class HeldPort:
    """A port on 127.0.0.1, bound but not listening.

    The kernel gives it to nobody who asks for any port, and refuses it to whoever does not set
    SO_REUSEADDR; servers set that (gunicorn, nginx, asyncio, http.server), so the one told may listen.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Let go of the port. Repeatable."""
        self._socket.close()
