"""Variables that AWS's PyTorch container reads, and what becomes of those this one has no use for."""

import logging
from collections.abc import Mapping

from serving.handlers.errors import CannotLoad
from serving.platform.limits import BATCH_VARIABLES

MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
LOG_LEVEL_VARIABLE = "SAGEMAKER_CONTAINER_LOG_LEVEL"
_WITHOUT_USE = frozenset({"SAGEMAKER_SAFE_PORT_RANGE"})  # one port is all there is
_TORCHSERVE = "TS_"  # its own settings, such as TS_JOB_QUEUE_SIZE


def refuse(environ: Mapping[str, str]) -> None:
    """Raises CannotLoad where the environment asks for what cannot be done."""
    if environ.get(MULTI_MODEL_VARIABLE, "").lower() in ("true", "1"):
        raise CannotLoad(f"{MULTI_MODEL_VARIABLE}: this container serves one model; unset it")


def warning(environ: Mapping[str, str], *, takes_batches: bool) -> str | None:
    """One sentence that names the variables without effect, or None; some have one for a model in batches."""
    without_use = _WITHOUT_USE if takes_batches else _WITHOUT_USE.union(BATCH_VARIABLES)
    unused = sorted(
        name
        for name, value in environ.items()
        if value and (name in without_use or name.startswith(_TORCHSERVE))
    )
    return f"without effect here, as there is no TorchServe: {', '.join(unused)}" if unused else None


def log_level(environ: Mapping[str, str]) -> int:
    """The level of the user's own log lines: a number as Python has it, or a name; INFO by default."""
    text = (environ.get(LOG_LEVEL_VARIABLE) or "INFO").upper()
    level = int(text) if text.isascii() and text.isdigit() else logging.getLevelNamesMapping().get(text)
    if level is None:
        raise CannotLoad(f"{LOG_LEVEL_VARIABLE}: expected a number or one of DEBUG to CRITICAL, got {text}")
    return level
