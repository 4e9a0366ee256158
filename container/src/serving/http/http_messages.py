"""HTTP between nginx and the batch server, as bytes.

nginx reads a whole request before it sends it on: `POST /invocations HTTP/1.1`, a Content-Length, one
request at a time on a connection. Any other request did not come from this container's nginx, and is
refused.
"""

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

REQUEST_LINE = "POST /invocations HTTP/1.1"
REQUEST_START = "X-Request-Start"  # nginx's clock when it sent the request on: seconds, three decimals
CONTENT_ENCODING = "Content-Encoding"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
LARGEST_HEAD = 65536  # twice what nginx takes from a client
_CACHED_HEAD = 1024  # callers repeat their headers; caching long ones would let them fill the memory
_START_FIELD = f"\r\n{REQUEST_START}: ".encode()
_START_DIGITS = 14  # until the year 2286
_LAST_ONE_COUNTS = frozenset({"content-length", "content-type"})


class UnexpectedRequest(Exception):
    """A request that nginx does not send; the text says what was expected."""


class Head(NamedTuple):
    """The header fields of a request that the batch server needs."""

    length: int  # of the body, in bytes
    content_type: str
    accept: str
    inference_id: str
    content_encoding: str = ""


def read_head(received: bytes | bytearray) -> tuple[Head, int, float] | None:
    """Parse a request's head; return it, the offset of the body, and the seconds since nginx sent it on.

    Returns None while the head is incomplete. Raises UnexpectedRequest.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > LARGEST_HEAD:
            raise UnexpectedRequest(f"request: expected a head of at most {LARGEST_HEAD} bytes")
        return None
    head, waited = bytes(received[:end]), 0.0
    start = head.find(_START_FIELD)
    if start >= 0:
        value = start + len(_START_FIELD)
        try:
            waited = max(0.0, time.time() - float(head[value : value + _START_DIGITS]))
        except ValueError:
            raise UnexpectedRequest(f"request: {REQUEST_START}: expected seconds") from None
        head = head[:start] + head[value + _START_DIGITS :]
    parsed = _parse(head) if len(head) <= _CACHED_HEAD else _parse.__wrapped__(head)
    return parsed, end + 4, waited


@lru_cache(maxsize=1024)
def _parse(head: bytes) -> Head:
    """Parse header fields as gunicorn does for Flask: join repeated ones, of some keep the last."""
    line, *fields = head.decode("latin-1").split("\r\n")
    if line != REQUEST_LINE:
        raise UnexpectedRequest(f"request: expected {REQUEST_LINE}")
    found: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise UnexpectedRequest("request: expected header fields, a line each")
        key, value = name.lower(), value.strip(" \t")
        if key == "content-length" and key in found:
            raise UnexpectedRequest("request: expected one Content-Length")
        found[key] = f"{found[key]},{value}" if key in found and key not in _LAST_ONE_COUNTS else value
    length = found.get("content-length", "")
    if "transfer-encoding" in found or not (length.isascii() and length.isdigit()):
        raise UnexpectedRequest("request: expected a body with a Content-Length")
    return Head(
        int(length),
        found.get("content-type", ""),
        found.get("accept", ""),
        found.get(INFERENCE_ID.lower(), ""),
        found.get(CONTENT_ENCODING.lower(), ""),
    )


def format_response(
    status: str, headers: Iterable[tuple[str, str]], body: bytes, *, last: bool = False
) -> bytes:
    """Format a whole response; `status` is such as "200 OK", `last` announces the connection's end."""
    return _head(status, tuple(headers), len(body), last) + body


@lru_cache(maxsize=1024)
def _head(status: str, headers: tuple[tuple[str, str], ...], length: int, last: bool) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() == "content-length" for name, _ in headers):
        lines.append(f"Content-Length: {length}")
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
