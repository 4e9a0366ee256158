"""A model without a program that fails on an input: whose fault it is, and a sentence for the caller."""

import re
from typing import Any, NoReturn

import torch

from serving.handlers.errors import HandlerFailed, RefusedInput

_RAISED = re.compile(r"^\w*(?:Error|Exception): (.+)", re.MULTILINE)  # the last line of a traceback
_LONGEST = 300


def blame_input(failure: HandlerFailed, data: Any) -> NoReturn:
    """Raise RefusedInput for a failure that the input may have caused, else the failure itself."""
    cause = failure.__cause__
    if not isinstance(cause, Exception) or isinstance(cause, MemoryError | torch.OutOfMemoryError):
        raise failure
    refusal = f"body: the model refuses {_described(data)}: {_reason(str(cause))}"
    raise RefusedInput(str(failure), refusal=refusal) from cause


def _described(data: Any) -> str:
    if isinstance(data, dict):
        return f"the arrays {', '.join(ascii(str(name)[:40]) for name in list(data)[:4])}"
    return f"an array of shape {tuple(getattr(data, 'shape', ()))}"


def _reason(message: str) -> str:
    """Return the line that says why: the last exception of TorchScript's traceback, or the first line."""
    raised = _RAISED.findall(message)
    return (raised[-1] if raised else message.strip().partition("\n")[0])[:_LONGEST]
