"""The headers that a program sets for its answer: checked here, so that a bad one is the program's fault."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from serving.handlers.errors import HandlerFailed

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # line breaks, other controls, and what is no latin-1
_FRAMING = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})
_STATUSES = range(200, 600)


def checked(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers without those that the server sets itself. Raises HandlerFailed for one that cannot be sent."""
    return dict(_checked(headers))


def checked_value(name: str, value: Any) -> str:
    """Return a header's value as text. Raises HandlerFailed if it cannot be sent."""
    text = str(value)
    if _FORBIDDEN.search(text):
        raise HandlerFailed(
            f"response header {name}: expected one line of latin-1 from the program, got {text[:80]!a}"
        )
    return text


def checked_status(status: Any) -> int:
    """Return the answer's status. Raises HandlerFailed for one that cannot be sent."""
    if not isinstance(status, int) or status not in _STATUSES:
        raise HandlerFailed(f"status: expected 200 to 599 from the program, got {status!a}")
    return int(status)


def _checked(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise HandlerFailed(f"response header: expected a name of letters and -, got {name!a}")
        if name.lower() not in _FRAMING:
            yield name, checked_value(name, value)
