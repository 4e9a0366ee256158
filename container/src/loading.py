"""Decide, once and in gunicorn's master, what is served: a user's program, or the project's own model.

PyTorch is imported only where it computes: not for the project's model in another engine.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import conventions
import engines
import extra_packages
import user_program
from engines import Choice, choice, golden, record
from handler import DigitsHandler, Handler
from user_program import CannotLoad

_TORCHSCRIPT = ("*.pt", "*.pth")


def load(model_dir: Path, environ: Mapping[str, str]) -> Handler:
    """The handler for what is in `model_dir`.

    code/inference.py is served whenever it is there; else model.safetensors by the project's own
    network; else a TorchScript model by the toolkit's defaults. Raises CannotLoad, for files too that are
    not as engines.json, if there is one, has them.
    """
    conventions.refuse(environ)
    warning = conventions.warning(environ)
    if warning:
        _say(warning)
    found = _checked_record(model_dir)
    program = user_program.find(model_dir, environ)
    if program is None and (
        found or (model_dir / engines.WEIGHTS).is_file() or not _has_torchscript(model_dir)
    ):
        return _own(model_dir, environ, found)
    logging.basicConfig(
        level=conventions.log_level(environ), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if program is not None:
        extra_packages.require(program.directory / "requirements.txt", environ)
    from user_handler import UserHandler  # it brings PyTorch

    return UserHandler(program, model_dir, environ)


def _own(model_dir: Path, environ: Mapping[str, str], found: record.Record | None) -> DigitsHandler:
    try:
        chosen = choice.choose(environ, found)
        answers = golden.read(model_dir)
    except ValueError as error:
        raise CannotLoad(str(error)) from error
    if answers is not None and found is not None:
        answers = replace(answers, limit=found.limits[chosen.precision])
    return DigitsHandler(_engine(chosen, model_dir), answers)


def _engine(chosen: Choice, model_dir: Path) -> engines.Engine:
    if chosen.engine != engines.TORCH:
        return engines.load(chosen, model_dir)
    from model import ModelProblem  # it brings PyTorch

    try:
        return engines.load(chosen, model_dir)
    except ModelProblem as error:
        raise CannotLoad(str(error)) from error


def _checked_record(model_dir: Path) -> record.Record | None:
    try:
        found = record.read(model_dir)
        if found is not None:
            record.verify(found, model_dir)
    except record.BadArchive as error:
        raise CannotLoad(str(error)) from error
    return found


def _has_torchscript(model_dir: Path) -> bool:
    return any(file for pattern in _TORCHSCRIPT for file in model_dir.glob(pattern))


def _say(line: str) -> None:
    print(f"serve: {line}", file=sys.stderr, flush=True)
