"""The quick way from nginx to the model and back: one loop that takes all requests that are ready at once.

In one turn it reads every request that has arrived, decodes them, predicts once for all of them,
encodes and answers. It speaks to our nginx alone (`http_messages.py` says what that sends) and keeps its
connections open. Everything but the plain way through the steps is left to Flask: what a step raises
becomes the answer that Flask's error handlers give.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable

from flask import Response
from werkzeug.http import HTTP_STATUS_CODES

from serving.handlers import media
from serving.handlers.handler import Answer
from serving.http import http_messages
from serving.http.batching import Call, answer
from serving.http.errors import error_body
from serving.http.invocation import Invocation
from serving.http.service import Service
from serving.platform.identity import HEADER

_CHUNK = 65536


class _Gone(Exception):  # named for what happened
    """The peer has closed the connection, or broken it."""


class _Connection:
    """A connection from nginx: at most one request is on its way in, or one answer on its way out."""

    __slots__ = ("is_busy", "received", "socket", "unsent")

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.received: bytes | bytearray = b""
        self.unsent: memoryview | None = None
        self.is_busy = False  # its request is being answered

    def read(self) -> tuple[http_messages.Head, bytes, float] | None:
        """The request, if it has arrived whole, and how long ago nginx sent it. Raises _Gone, NotOurs."""
        try:
            part = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _Gone from error
        if not part:
            raise _Gone
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
            raise http_messages.NotOurs("request: expected nothing after its body")
        if missing > 0:
            return None
        body, self.received = bytes(self.received[begin:]), b""
        return fields, body, waited

    def _append(self, part: bytes) -> None:
        if self.unsent or self.is_busy:
            raise http_messages.NotOurs("request: expected one at a time")
        if not isinstance(self.received, bytearray):
            self.received = bytearray(self.received)
        self.received += part

    def write(self, data: bytes | memoryview) -> None:
        """Send as much as the socket takes now; the rest is `unsent`. Raises _Gone."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _Gone from error
        self.unsent = memoryview(data)[sent:] if sent < len(data) else None


class BatchServer:
    """Serves one listening socket from one thread: `run` in it, `stop` from any other."""

    # After the order to stop: nginx may be sending a request on a connection that it thinks open.
    linger_seconds = 2.0

    def __init__(
        self,
        listener: socket.socket,
        service: Service,
        refuse: Callable[[Exception], Response],
    ) -> None:
        self._listener = listener
        self._service = service
        self._refuse = refuse
        self._identity = (HEADER, service.identity.header)
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._woken, self._wake = os.pipe()
        self._stopping_since: float | None = None

    def run(self) -> None:
        """Serve until told to stop, and then until what was begun is answered."""
        self.listen()
        while not self._is_done():
            calls = self.ready(1.0 if self._stopping_since is None else 0.05)
            if calls:
                calls = self._await_more(calls)
                with self._service.in_flight.running():
                    answer(calls, self._service)
        for connection in list(self._connections.values()):
            self._close(connection)

    def listen(self) -> None:
        """Begin to take connections."""
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(self._woken, select.EPOLLIN)

    def stop(self) -> None:
        """Take no new connections; finish."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            os.write(self._wake, b"\0")

    def _is_done(self) -> bool:
        """Told to stop, and nothing is left to answer; connections without a request are lingered on."""
        if self._stopping_since is None:
            return False
        if self._listener.fileno() >= 0:
            self._poll.unregister(self._listener)
            self._listener.close()
            os.set_blocking(self._woken, False)
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 16)
        if time.monotonic() - self._stopping_since < self.linger_seconds:
            return not self._connections
        return not any(one.received or one.unsent for one in self._connections.values())

    def ready(self, seconds: float) -> list[Call]:
        """Wait for up to `seconds`, and take every request that has arrived whole."""
        calls: list[Call] = []
        for descriptor, events in self._poll.poll(seconds):
            connection = self._connections.get(descriptor)
            if connection is not None:
                self._serve(connection, events, calls)
            elif descriptor == self._listener.fileno():
                self._accept(calls)
        return calls

    def _await_more(self, calls: list[Call]) -> list[Call]:
        """With a delay that is set: wait for as many requests as make a batch, but no longer than that."""
        limits = self._service.limits
        deadline = time.monotonic() + limits.batch_delay_seconds
        while limits.batch_delay_seconds and len(calls) < limits.batch_instances:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            calls += self.ready(left)
        return calls

    def _accept(self, calls: list[Call]) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                connection = _Connection(client)
                self._connections[client.fileno()] = connection
                self._poll.register(client, select.EPOLLIN)
                self._serve(connection, select.EPOLLIN, calls)

    def _serve(self, connection: _Connection, events: int, calls: list[Call]) -> None:
        """Do what the connection is ready for; a request that is whole joins `calls`."""
        try:
            if events & select.EPOLLOUT and connection.unsent:
                self._write(connection, connection.unsent)
                return
            request = connection.read()
        except _Gone:
            self._close(connection)
            return
        except http_messages.NotOurs as problem:
            self._dismiss(connection, problem)
            return
        if request is not None:
            head, body, waited = request
            connection.is_busy = True
            calls.append(
                Call(
                    head,
                    body,
                    Invocation(head.inference_id, "lane", waited),
                    lambda result: self._reply(connection, result),
                )
            )

    def _reply(self, connection: _Connection, result: Answer | Exception) -> None:
        connection.is_busy = False
        with contextlib.suppress(_Gone):
            self._write(connection, self._bytes(result))
            return
        self._close(connection)

    def _bytes(self, result: Answer | Exception) -> bytes:
        last = self._stopping_since is not None
        if isinstance(result, Exception):
            refused = self._refuse(result)
            return http_messages.answer(
                refused.status, refused.headers.items(), refused.get_data(), last=last
            )
        body = result.body if isinstance(result.body, bytes) else b"".join(result.body)
        headers = (*result.headers.items(), ("Content-Type", result.content_type), self._identity)
        return http_messages.answer(_status_line(result.status), headers, body, last=last)

    def _write(self, connection: _Connection, data: bytes | memoryview) -> None:
        was_waiting = connection.unsent is not None
        connection.write(data)
        if (connection.unsent is not None) != was_waiting:
            wanted = select.EPOLLOUT if connection.unsent else select.EPOLLIN
            self._poll.modify(connection.socket, wanted)

    def _dismiss(self, connection: _Connection, problem: http_messages.NotOurs) -> None:
        """Say what was wrong, as far as the peer still listens, and close."""
        body = error_body(str(problem))
        headers = (("Content-Type", media.JSON), self._identity)
        with contextlib.suppress(_Gone):
            connection.write(http_messages.answer("400 BAD REQUEST", headers, body, last=True))
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        descriptor = connection.socket.fileno()
        if descriptor >= 0:
            self._poll.unregister(descriptor)
            del self._connections[descriptor]
            connection.socket.close()


def _status_line(status: int) -> str:
    """As werkzeug writes it: 200 OK."""
    return f"{status} {HTTP_STATUS_CODES.get(status, 'unknown').upper()}"
