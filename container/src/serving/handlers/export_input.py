"""Find the network to export in a model directory: the project's own, or a user program's."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from serving.engines import LoadNetwork, ModelProblem, golden, pytorch
from serving.engines.archive import ExportInput
from serving.handlers import user_program
from serving.handlers.errors import BadRequest, HandlerFailed
from serving.handlers.user_handler import UserHandler


class NothingToExport(Exception):
    """A model directory that cannot be exported; the text says what is missing."""


@dataclass(frozen=True)
class Example:
    """A request to a user's program."""

    file: Path
    content_type: str


def read(model_dir: Path, example: Example | None, load_network: LoadNetwork) -> ExportInput:
    """Read the network in `model_dir` and its golden instances. Raises NothingToExport and CannotLoad."""
    if user_program.find(model_dir, {}) is not None:
        return _of_program(model_dir, example)
    try:
        net = load_network(model_dir)
        cases = golden.read(model_dir)
    except (ModelProblem, ValueError) as error:
        raise NothingToExport(str(error)) from error
    if cases is None:
        raise NothingToExport(f"{model_dir / golden.FILE}: there are no golden cases to compare engines with")
    try:
        cases.check(pytorch.PyTorch(net).predict(cases.instances))
    except golden.WrongAnswers as error:
        raise NothingToExport(
            f"{model_dir / golden.FILE}: not the golden cases of these weights: {error}"
        ) from error
    return ExportInput(net, cases.instances)


def _of_program(model_dir: Path, example: Example | None) -> ExportInput:
    """Read a user's network; the example becomes the golden instances in engines-golden.npz."""
    if example is None:
        raise NothingToExport(
            f"{model_dir}/code/inference.py has formats of its own: name a request with --example"
        )
    handler = UserHandler(user_program.find(model_dir, {}), model_dir, {})
    handler.warm_up()
    try:
        tensor = handler.decode(example.file.read_bytes(), example.content_type)
    except (OSError, BadRequest, HandlerFailed) as error:
        raise NothingToExport(f"{example.file}: {error}") from error
    if not isinstance(handler.model, nn.Module) or not isinstance(tensor, torch.Tensor):
        kinds = f"{type(handler.model).__name__} and {type(tensor).__name__}"
        raise NothingToExport(f"expected a network from model_fn and a tensor from input_fn, got {kinds}")
    return ExportInput(handler.model.eval(), tensor.numpy(), keep_instances=True)
