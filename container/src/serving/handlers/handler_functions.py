"""The functions of a user's program: which there are, and what they take."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from serving.handlers import toolkit_defaults
from serving.handlers.errors import CannotLoad
from serving.handlers.toolkit_input import InputFunction

_ARGUMENTS = {  # the number of arguments, without a context
    "pre_model_fn": 1, "model_fn": 1, "model_warmup_fn": 2,
    "input_fn": 2, "predict_fn": 2, "output_fn": 2, "transform_fn": 4,
}  # fmt: skip


def collect(module: ModuleType, input_fn: InputFunction) -> dict[str, Callable[..., Any]]:
    """Collect the user's functions, or the toolkit's, of which `input_fn` is one.

    Raises CannotLoad for a wrong combination.
    """
    theirs = {name: getattr(module, name) for name in _ARGUMENTS if getattr(module, name, None) is not None}
    steps = {"input_fn", "predict_fn", "output_fn"}
    if "transform_fn" in theirs and steps & theirs.keys():
        raise CannotLoad(
            f"{module.__name__}.py: expected transform_fn alone, or input_fn, predict_fn and output_fn; got both"
        )
    if "transform_fn" in theirs:
        return {"model_fn": toolkit_defaults.model_fn, **theirs}
    return {
        "model_fn": toolkit_defaults.model_fn,
        "input_fn": input_fn,
        "predict_fn": toolkit_defaults.predict_fn,
        "output_fn": toolkit_defaults.output_fn,
        **theirs,
    }


def takes_context(name: str, function: Callable[..., Any]) -> bool:
    """Return True if the function takes a context as well. Raises CannotLoad for a wrong signature."""
    expected = _ARGUMENTS[name]
    signature = inspect.signature(function)
    if len(signature.parameters) == expected + 1:
        return True
    try:
        signature.bind(*[None] * expected)
    except TypeError:
        raise CannotLoad(
            f"{name}: expected {expected} arguments, and a context or none; got {signature}"
        ) from None
    return False
