"""The answer to a request that is not valid HTTP, which reaches no application."""

from collections.abc import Mapping
from http import HTTPStatus

from gunicorn.http import errors  # type: ignore[import-untyped]

from serving.handlers import media
from serving.http.errors import error_body
from serving.platform import identity

_REFUSED: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (errors.ParseException, HTTPStatus.BAD_REQUEST),
)


def answer(error: Exception, environ: Mapping[str, str]) -> bytes | None:
    """Return the whole answer to a request that gunicorn refused; None for any other error."""
    status = next((status for kind, status in _REFUSED if isinstance(error, kind)), None)
    if status is None:
        return None
    body = error_body(f"request: {error}")
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: {media.JSON}\r\nContent-Length: {len(body)}\r\n"
        f"{identity.HEADER}: {identity.from_environ(environ).header}\r\n\r\n"
    )
    return head.encode("ascii") + body
