"""The batch server: one epoll loop that answers invocations, all that are ready in one batch.

Each iteration reads the requests that have arrived, decodes them, predicts once for all of them, encodes
and replies. The only client is this container's nginx (`http_messages.py`), whose connections stay open.
An error of a step becomes the response that Flask's error handlers give.
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
from serving.http.batching import PendingRequest, answer_all
from serving.http.connection import Connection, ConnectionClosed
from serving.http.errors import error_body
from serving.http.http_messages import UnexpectedRequest
from serving.http.invocation import Invocation
from serving.http.service import Service
from serving.platform.identity import HEADER


class BatchServer:
    """A server on one listening socket: call `run` in a thread of its own, `stop` from any other."""

    # After `stop`: nginx may be sending a request on a connection that it believes open.
    linger_seconds = 2.0

    def __init__(
        self,
        listener: socket.socket,
        service: Service,
        error_response: Callable[[Exception], Response],
    ) -> None:
        self._listener = listener
        self._service = service
        self._error_response = error_response
        self._identity = (HEADER, service.identity.header)
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        self._stopping_since: float | None = None

    def run(self) -> None:
        """Serve until `stop` is called, and then until every request that was begun is answered."""
        self.listen()
        while not self._is_done():
            requests = self.receive(1.0 if self._stopping_since is None else 0.05)
            if requests:
                requests = self._await_more(requests)
                with self._service.in_flight.running():
                    answer_all(requests, self._service)
        for connection in list(self._connections.values()):
            self._close(connection)

    def answer_one(self, request: bytes) -> bytes:
        """Answer a request of up to 64 KB outside of `run`; return what is sent at once of the response."""
        client, server = socket.socketpair()
        with client:
            client.sendall(request)
            server.setblocking(False)
            connection = self._add(server)
            requests: list[PendingRequest] = []
            while not requests and server.fileno() >= 0 and connection.has_unread():
                self._serve(connection, select.EPOLLIN, requests)
            answer_all(requests, self._service)
            self._close(connection)
            client.settimeout(0)
            return client.recv(65536)

    def listen(self) -> None:
        """Begin to accept connections."""
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(self._wake_reader, select.EPOLLIN)

    def stop(self) -> None:
        """Accept no new connections, and let `run` finish."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            os.write(self._wake_writer, b"\0")

    def _is_done(self) -> bool:
        """Return True after `stop` once nothing is left to answer; idle connections are kept for a while."""
        if self._stopping_since is None:
            return False
        if self._listener.fileno() >= 0:
            self._poll.unregister(self._listener)
            self._listener.close()
            os.set_blocking(self._wake_reader, False)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_reader, 16)
        if time.monotonic() - self._stopping_since < self.linger_seconds:
            return not self._connections
        return not any(one.received or one.unsent for one in self._connections.values())

    def receive(self, seconds: float) -> list[PendingRequest]:
        """Wait for up to `seconds`, and return every request that has arrived whole."""
        requests: list[PendingRequest] = []
        for descriptor, events in self._poll.poll(seconds):
            connection = self._connections.get(descriptor)
            if connection is not None:
                self._serve(connection, events, requests)
            elif descriptor == self._listener.fileno():
                self._accept(requests)
        return requests

    def _await_more(self, requests: list[PendingRequest]) -> list[PendingRequest]:
        """Wait for a full batch, but no longer than the batch delay, which is 0 by default."""
        limits = self._service.limits
        deadline = time.monotonic() + limits.batch_delay_seconds
        while limits.batch_delay_seconds and len(requests) < limits.batch_instances:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            requests += self.receive(left)
        return requests

    def _accept(self, requests: list[PendingRequest]) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self._serve(self._add(client), select.EPOLLIN, requests)

    def _add(self, client: socket.socket) -> Connection:
        connection = Connection(client)
        self._connections[client.fileno()] = connection
        self._poll.register(client, select.EPOLLIN)
        return connection

    def _serve(self, connection: Connection, events: int, requests: list[PendingRequest]) -> None:
        """Read from or write to a connection that is ready; append its request, if whole, to `requests`."""
        try:
            if events & select.EPOLLOUT and connection.unsent:
                self._write(connection, connection.unsent)
                return
            request = connection.read()
        except ConnectionClosed:
            self._close(connection)
            return
        except UnexpectedRequest as problem:
            self._refuse(connection, problem)
            return
        if request is not None:
            head, body, waited = request
            connection.is_busy = True
            invocation = Invocation(head.inference_id, "batch", waited)
            requests.append(
                PendingRequest(
                    head, body, invocation, lambda result: self._reply(connection, invocation, result)
                )
            )

    def _reply(self, connection: Connection, invocation: Invocation, result: Answer | Exception) -> None:
        self._service.record(invocation)  # before the reply: a caller who has it finds it counted
        connection.is_busy = False
        with contextlib.suppress(ConnectionClosed):
            self._write(connection, self._bytes(result))
            return
        self._close(connection)

    def _bytes(self, result: Answer | Exception) -> bytes:
        last = self._stopping_since is not None
        if isinstance(result, Exception):
            refused = self._error_response(result)
            return http_messages.format_response(
                refused.status, refused.headers.items(), refused.get_data(), last=last
            )
        body = result.body if isinstance(result.body, bytes) else b"".join(result.body)
        identity, others = self._identity, result.headers
        if others:  # a program's, which may have custom attributes of its own
            own = next((value for name, value in others.items() if name.lower() == HEADER.lower()), None)
            identity = (HEADER, self._service.identity.beside(own))
            others = {name: value for name, value in others.items() if name.lower() != HEADER.lower()}
        headers = (*others.items(), ("Content-Type", result.content_type), identity)
        return http_messages.format_response(_status_line(result.status), headers, body, last=last)

    def _write(self, connection: Connection, data: bytes | memoryview) -> None:
        was_waiting = connection.unsent is not None
        connection.write(data)
        if (connection.unsent is not None) != was_waiting:
            wanted = select.EPOLLOUT if connection.unsent else select.EPOLLIN
            self._poll.modify(connection.socket, wanted)

    def _refuse(self, connection: Connection, problem: UnexpectedRequest) -> None:
        """Send a 400 with the reason, if the peer still reads, and close the connection."""
        headers = (("Content-Type", media.JSON), self._identity)
        data = http_messages.format_response("400 BAD REQUEST", headers, error_body(str(problem)), last=True)
        with contextlib.suppress(ConnectionClosed):
            connection.write(data)
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        descriptor = connection.socket.fileno()
        if descriptor >= 0:
            self._poll.unregister(descriptor)
            del self._connections[descriptor]
            connection.socket.close()


def _status_line(status: int) -> str:
    """Format a status as werkzeug does: 200 OK."""
    return f"{status} {HTTP_STATUS_CODES.get(status, 'unknown').upper()}"
