"""Decide, once and in gunicorn's master, what is served: a user's program, or the project's own model."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import conventions
import extra_packages
import model as models
import user_program
from handler import DigitsHandler, Handler
from user_handler import UserHandler
from user_program import CannotLoad

_TORCHSCRIPT = ("*.pt", "*.pth")


def load(model_dir: Path, environ: Mapping[str, str]) -> Handler:
    """The handler for what is in `model_dir`.

    code/inference.py is served whenever it is there; else model.safetensors by the project's own
    network; else a TorchScript model by the toolkit's defaults. Raises CannotLoad.
    """
    conventions.refuse(environ)
    warning = conventions.warning(environ)
    if warning:
        print(f"serve: {warning}", file=sys.stderr, flush=True)
    program = user_program.find(model_dir, environ)
    if program is None and ((model_dir / models.WEIGHTS).is_file() or not _has_torchscript(model_dir)):
        return _own(model_dir)
    logging.basicConfig(
        level=conventions.log_level(environ), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if program is not None:
        extra_packages.require(program.directory / "requirements.txt", environ)
    return UserHandler(program, model_dir, environ)


def _own(model_dir: Path) -> DigitsHandler:
    try:
        return DigitsHandler(models.load(model_dir))
    except models.ModelProblem as error:
        raise CannotLoad(str(error)) from error


def _has_torchscript(model_dir: Path) -> bool:
    return any(file for pattern in _TORCHSCRIPT for file in model_dir.glob(pattern))
