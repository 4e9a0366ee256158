"""Gunicorn's threaded worker, except that what it refuses by itself is said as the application would."""

import os
from http import HTTPStatus
from typing import Any

import codec
import identity
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

_REFUSED: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Answers requests that are not HTTP in JSON and with the identity, not in HTML."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be read; anything else is gunicorn's to report."""
        status = next((status for kind, status in _REFUSED if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        body = codec.encode_error(f"request: {exc}")
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {codec.CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"{identity.HEADER}: {identity.from_environ(os.environ).header}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode("ascii") + body)
        except OSError as gone:
            self.log.debug("The peer left before it could be told of its error: %s", gone)
