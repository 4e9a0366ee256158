"""A body and its type from what a program returns."""

import json
from collections.abc import Generator, Iterator
from typing import Any

from serving.handlers import toolkit_defaults
from serving.handlers.errors import HandlerFailed
from serving.handlers.program_errors import ending_its_children, failure

_END = object()


def body_and_type(result: tuple[Any, ...]) -> tuple[Any, Any]:
    """Take a tuple's body and type; a third element, such as a status, has no effect, as in AWS's toolkit."""
    if len(result) < 2:
        raise HandlerFailed(
            f"IndexError: expected a body and its type in the tuple, got {len(result)} elements"
        )
    return result[0], result[1]


def concrete(accept: str) -> str | None:
    """Return the first media type in the header that is no pattern."""
    kinds = (part.partition(";")[0].strip() for part in accept.split(","))
    return next((kind for kind in kinds if "/" in kind and "*" not in kind), None)


def chunks(stream: Iterator[Any]) -> Generator[bytes]:
    """Yield the parts of a stream as bytes. Raises HandlerFailed from whatever the program raises."""
    try:
        while (part := _next(stream)) is not _END:
            yield to_bytes(part)
    except (HandlerFailed, GeneratorExit):
        raise
    except BaseException as error:  # a user's code may raise anything
        raise failure(error) from error


def _next(stream: Iterator[Any]) -> Any:
    with ending_its_children():
        return next(stream, _END)


def to_bytes(result: Any) -> bytes:
    """Encode a body: text as UTF-8, bytes unchanged, anything else as JSON."""
    if isinstance(result, str):
        return result.encode()
    if isinstance(result, bytes | bytearray | memoryview):
        return bytes(result)
    try:
        return json.dumps(result, default=toolkit_defaults.to_json_value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise failure(error) from error
