"""Limits on clients that send slowly, as in nginx.conf: they hold a thread, where there is no nginx before it."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

HEAD_SECONDS = 10  # for the whole head of a request
BODY_SECONDS = 30  # between two reads


class HeadTimer:
    """The connections whose request's head is being read, and since when."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[socket.socket, float] = {}

    def begin(self, connection: socket.socket) -> None:
        self._since[connection] = self._now()

    def end(self, connection: socket.socket) -> None:
        self._since.pop(connection, None)

    def cut(self) -> None:
        """Break off the connections that have taken too long; their threads find the end of the stream."""
        for connection, since in list(self._since.items()):  # a copy: other threads change it meanwhile
            if self._now() - since > HEAD_SECONDS:
                self.end(connection)
                with contextlib.suppress(OSError):  # the client has closed it in the same moment
                    connection.shutdown(socket.SHUT_RDWR)


def read_body(request: Request, send_seconds: float) -> bytes:
    """Read a request's body; whoever reads the answer has `send_seconds`. Raises RequestTimeout (408)."""
    peer: Any = request.environ.get("gunicorn.socket")
    if peer is None:
        return request.get_data(cache=False)
    peer.settimeout(BODY_SECONDS)
    try:
        return request.get_data(cache=False)
    except (TimeoutError, ClientDisconnected) as error:  # werkzeug makes the second of the first
        if isinstance(error.__context__, TimeoutError) or isinstance(error, TimeoutError):
            sentence = f"expected its body whole, got nothing more for {BODY_SECONDS} s"
            raise RequestTimeout(sentence) from None
        raise
    finally:
        peer.settimeout(send_seconds)
