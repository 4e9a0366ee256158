"""Errors of a request from what a program raises, and the end of the processes that it forks."""

import contextlib
from collections.abc import Iterator

from serving.handlers.errors import HandlerFailed
from serving.platform import forks

_LONGEST_MESSAGE = 2000


def failure(error: BaseException) -> HandlerFailed:
    """Wrap an exception; its status is `status_code`, as in sagemaker_inference.errors, or 500."""
    status = getattr(error, "status_code", None)
    chosen = isinstance(status, int) and 400 <= status <= 599
    return HandlerFailed(describe(error), status=status if chosen and isinstance(status, int) else 500)


def describe(error: BaseException) -> str:
    """Return the exception's type and message in one line."""
    message = str(getattr(error, "message", None) or error)[:_LONGEST_MESSAGE]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@contextlib.contextmanager
def ending_its_children() -> Iterator[None]:
    """End a process that the block forks where the block ends: only the worker goes on to answer."""
    try:
        yield
    except BaseException as error:
        forks.end_child(error)
        raise
    forks.end_child()
