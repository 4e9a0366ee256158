"""A connection from nginx to the batch server."""

import select
import socket

from serving.http import http_messages
from serving.http.http_messages import UnexpectedRequest

_CHUNK = 65536


class ConnectionClosed(Exception):
    """The peer has closed the connection, or it broke."""


class Connection:
    """A connection from nginx: at most one request arriving, or one response being sent."""

    __slots__ = ("is_busy", "received", "socket", "unsent")

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.received: bytes | bytearray = b""
        self.unsent: memoryview | None = None
        self.is_busy = False  # its request is being answered

    def read(self) -> tuple[http_messages.Head, bytes, float] | None:
        """Read what has arrived; return the request once it is whole, with the seconds since nginx sent it.

        Raises ConnectionClosed and UnexpectedRequest.
        """
        try:
            part = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ConnectionClosed from error
        if not part:
            raise ConnectionClosed
        if self.received or self.unsent or self.is_busy:
            self._append(part)
        else:
            self.received = part
        head = http_messages.read_head(self.received)
        if head is None:
            return None
        fields, begin, waited = head
        missing = begin + fields.length - len(self.received)
        if missing < 0:
            raise UnexpectedRequest("request: expected nothing after its body")
        if missing > 0:
            return None
        body, self.received = bytes(self.received[begin:]), b""
        return fields, body, waited

    def has_unread(self) -> bool:
        """Return True if something has arrived that `read` would return without waiting."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def _append(self, part: bytes) -> None:
        if self.unsent or self.is_busy:
            raise UnexpectedRequest("request: expected one at a time")
        if not isinstance(self.received, bytearray):
            self.received = bytearray(self.received)
        self.received += part

    def write(self, data: bytes | memoryview) -> None:
        """Send as much as the socket takes now; `unsent` keeps the rest. Raises ConnectionClosed."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionClosed from error
        self.unsent = memoryview(data)[sent:] if sent < len(data) else None
