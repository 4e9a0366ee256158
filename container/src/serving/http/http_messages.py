"""The requests that our nginx sends to a worker's lane, and the answers to them, as bytes.

nginx has read the whole request before it sends it on: `POST /invocations HTTP/1.1`, a Content-Length,
one request at a time on a connection. Whatever else arrives is not from our nginx, and is refused.
"""

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

REQUEST_LINE = "POST /invocations HTTP/1.1"
STAMP = "X-Request-Start"  # nginx's clock when it sent the request on: seconds, three decimals
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
LARGEST_HEAD = 65536  # twice what nginx takes from a client
_CACHED_HEAD = 1024  # callers repeat their headers; remembering long ones would let them fill the memory
_STAMP = f"\r\n{STAMP}: ".encode()
_STAMP_DIGITS = 14  # until the year 2286
_ONCE = frozenset({"content-length", "content-type"})


class NotOurs(Exception):  # named for what happened
    """A request that our nginx does not send."""


class Head(NamedTuple):
    """What the lane needs to know of a request's head."""

    length: int  # of the body, in bytes
    content_type: str
    accept: str
    inference_id: str


def read_head(received: bytes | bytearray) -> tuple[Head, int, float] | None:
    """The head of a request, where its body begins, and the seconds since nginx sent it on.

    None while there is less than a head. Raises NotOurs.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > LARGEST_HEAD:
            raise NotOurs(f"request: expected a head of at most {LARGEST_HEAD} bytes")
        return None
    head, waited = bytes(received[:end]), 0.0
    stamp = head.find(_STAMP)
    if stamp >= 0:
        value = stamp + len(_STAMP)
        try:
            waited = max(0.0, time.time() - float(head[value : value + _STAMP_DIGITS]))
        except ValueError:
            raise NotOurs(f"request: {STAMP}: expected seconds") from None
        head = head[:stamp] + head[value + _STAMP_DIGITS :]
    parsed = _parse(head) if len(head) <= _CACHED_HEAD else _parse.__wrapped__(head)
    return parsed, end + 4, waited


@lru_cache(maxsize=1024)
def _parse(head: bytes) -> Head:
    """Read the header fields as gunicorn does for Flask: repeated ones are joined, of some the last counts."""
    line, *fields = head.decode("latin-1").split("\r\n")
    if line != REQUEST_LINE:
        raise NotOurs(f"request: expected {REQUEST_LINE}")
    found: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise NotOurs("request: expected header fields, a line each")
        key, value = name.lower(), value.strip(" \t")
        if key == "content-length" and key in found:
            raise NotOurs("request: expected one Content-Length")
        found[key] = f"{found[key]},{value}" if key in found and key not in _ONCE else value
    length = found.get("content-length", "")
    if "transfer-encoding" in found or not (length.isascii() and length.isdigit()):
        raise NotOurs("request: expected a body with a Content-Length")
    return Head(
        int(length),
        found.get("content-type", ""),
        found.get("accept", ""),
        found.get(INFERENCE_ID.lower(), ""),
    )


def answer(status: str, headers: Iterable[tuple[str, str]], body: bytes, *, last: bool = False) -> bytes:
    """A whole answer; `status` is such as "200 OK", `last` announces that the connection will be closed."""
    return _head(status, tuple(headers), len(body), last) + body


@lru_cache(maxsize=1024)
def _head(status: str, headers: tuple[tuple[str, str], ...], length: int, last: bool) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() == "content-length" for name, _ in headers):
        lines.append(f"Content-Length: {length}")
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
