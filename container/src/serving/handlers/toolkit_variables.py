"""Environment variables of AWS's PyTorch container that this one refuses, ignores or reads."""

import logging
from collections.abc import Mapping

from serving.handlers.errors import CannotLoad

MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
LOG_LEVEL_VARIABLE = "SAGEMAKER_CONTAINER_LOG_LEVEL"
_UNUSED = frozenset({"SAGEMAKER_SAFE_PORT_RANGE"})  # this server has one port
_TORCHSERVE = "TS_"  # prefix of TorchServe's settings, such as TS_JOB_QUEUE_SIZE


def check_supported(environ: Mapping[str, str]) -> None:
    """Raise CannotLoad if the environment asks for several models."""
    if environ.get(MULTI_MODEL_VARIABLE, "").lower() in ("true", "1"):
        raise CannotLoad(f"{MULTI_MODEL_VARIABLE}: this container serves one model; unset it")


def unused_warning(environ: Mapping[str, str]) -> str | None:
    """Name the variables without effect in one sentence, or return None."""
    unused = sorted(
        name for name, value in environ.items() if value and (name in _UNUSED or name.startswith(_TORCHSERVE))
    )
    return f"without effect here, as there is no TorchServe: {', '.join(unused)}" if unused else None


def log_level(environ: Mapping[str, str]) -> int:
    """Read the level of the user's log lines: Python's number or name; INFO by default. Raises CannotLoad."""
    text = (environ.get(LOG_LEVEL_VARIABLE) or "INFO").upper()
    level = int(text) if text.isascii() and text.isdigit() else logging.getLevelNamesMapping().get(text)
    if level is None:
        raise CannotLoad(f"{LOG_LEVEL_VARIABLE}: expected a number or one of DEBUG to CRITICAL, got {text}")
    return level
