"""Find the network to export in a model directory: the project's own, or a user program's."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import golden
from serving.engines import ModelProblem
from serving.engines.archive import ExportInput
from serving.engines.pytorch import PyTorch
from serving.handlers import golden_cases, user_program
from serving.handlers.errors import BadPrediction, BadRequest, HandlerFailed
from serving.handlers.golden_cases import GoldenCases
from serving.handlers.handler import Handler
from serving.handlers.project_model import ProjectModel
from serving.handlers.user_handler import UserHandler

logger = logging.getLogger(__name__)


class NothingToExport(Exception):
    """A model directory that cannot be exported; the text says what is missing."""


@dataclass(frozen=True)
class Example:
    """A request to a user's program."""

    file: Path
    content_type: str


def read(model_dir: Path, example: Example | None, project: ProjectModel) -> ExportInput:
    """Read the network in `model_dir` and instances of its input. Raises NothingToExport and CannotLoad."""
    cases = golden_cases.read(model_dir)
    if user_program.find(model_dir, {}) is not None:
        return _of_program(model_dir, example, cases)
    try:
        net = project.load_network(model_dir)
    except ModelProblem as error:
        raise NothingToExport(str(error)) from error
    if cases is None:
        raise NothingToExport(f"{model_dir / golden.FILE}: there are no golden cases to compare engines with")
    handler = project.handler(PyTorch(net))
    handler.warm_up()
    return ExportInput(net, _golden_instances(handler, cases))


def _of_program(model_dir: Path, example: Example | None, cases: GoldenCases | None) -> ExportInput:
    """Read a user's network; an example becomes the instances in engines-golden.npz."""
    if example is None and cases is None:
        raise NothingToExport(
            f"{model_dir}/code/inference.py has formats of its own: record golden cases "
            "(python -m golden record), or name a request with --example"
        )
    handler = UserHandler(user_program.find(model_dir, {}), model_dir, {})
    handler.warm_up()
    if not isinstance(handler.model, nn.Module):
        raise NothingToExport(f"expected a network from model_fn, got {type(handler.model).__name__}")
    net = handler.model.eval()
    if example is None and cases is not None:
        return ExportInput(net, _golden_instances(handler, cases))
    assert example is not None
    try:
        data = handler.decode(example.file.read_bytes(), example.content_type)
    except (OSError, BadRequest, HandlerFailed) as error:
        raise NothingToExport(f"{example.file}: {error}") from error
    return ExportInput(net, _array(data), keep_instances=True)


def _golden_instances(handler: Handler, cases: GoldenCases) -> NDArray[Any]:
    """Join the inputs of the golden requests, as far as they have the first one's type and shape.

    Raises NothingToExport for an answer that is not the golden one.
    """
    arrays = list(_golden_arrays(handler, cases))
    if not arrays:
        raise NothingToExport(f"{cases.file}: none of its requests is answered by a prediction")
    kind = (arrays[0].dtype, arrays[0].shape[1:])
    alike = [array for array in arrays if (array.dtype, array.shape[1:]) == kind]
    if len(alike) < len(arrays):
        logger.info(
            "%d of %d golden inputs are of another type or shape", len(arrays) - len(alike), len(arrays)
        )
    return np.concatenate(alike)


def _golden_arrays(handler: Handler, cases: GoldenCases) -> Iterator[NDArray[Any]]:
    for number, case in enumerate(cases):
        if not case.is_answered:
            continue
        try:
            data, answer = golden_cases.ask(handler, case)
        except (BadRequest, BadPrediction, HandlerFailed) as error:
            raise NothingToExport(f"{cases.label(number)}: {error}") from error
        difference = golden.first_difference(case, answer)
        if difference:
            raise NothingToExport(f"{cases.label(number)}: not an answer of these weights: {difference}")
        yield _array(data)


def _array(data: Any) -> NDArray[Any]:
    if isinstance(data, torch.Tensor):
        return data.cpu().numpy()
    if isinstance(data, np.ndarray):
        return data
    raise NothingToExport(f"expected a tensor from input_fn, got {type(data).__name__}")
