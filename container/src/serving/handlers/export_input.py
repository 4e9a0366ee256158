"""What is in a model directory to be exported: the project's own network, or the one of a user's program."""

from dataclasses import dataclass
from pathlib import Path

import torch
from flask import Flask
from torch import nn

from serving.engines import LoadNetwork, ModelProblem, golden, pytorch
from serving.engines.archive import ExportInput
from serving.handlers import user_program
from serving.handlers.errors import BadRequest, HandlerFailed
from serving.handlers.user_handler import UserHandler


class NothingToExport(Exception):  # named for what happened
    """There is nothing to export; the text says what is missing."""


@dataclass(frozen=True)
class Example:
    """A request to a user's program."""

    file: Path
    content_type: str


def read(model_dir: Path, example: Example | None, load_network: LoadNetwork) -> ExportInput:
    """The network in `model_dir` and golden instances. Raises NothingToExport and CannotLoad."""
    if user_program.find(model_dir, {}) is not None:
        return _of_program(model_dir, example)
    try:
        net = load_network(model_dir)
        cases = golden.read(model_dir)
    except (ModelProblem, ValueError) as error:
        raise NothingToExport(str(error)) from error
    if cases is None:
        raise NothingToExport(f"{model_dir / golden.FILE}: there are no golden cases to compare engines by")
    try:
        cases.check(pytorch.PyTorch(net).predict(cases.instances))
    except golden.WrongAnswers as error:
        raise NothingToExport(f"{model_dir / golden.FILE}: not of these weights: {error}") from error
    return ExportInput(net, cases.instances)


def _of_program(model_dir: Path, example: Example | None) -> ExportInput:
    """Its golden instances go into engines-golden.npz: golden.json may be in formats of its own."""
    if example is None:
        raise NothingToExport(
            f"{model_dir}/code/inference.py takes what it likes: name a request by --example"
        )
    handler = UserHandler(user_program.find(model_dir, {}), model_dir, {})
    handler.warm_up()
    try:
        with Flask(__name__).test_request_context():  # its context may be asked for the request's headers
            tensor = handler.decode(example.file.read_bytes(), example.content_type)
    except (OSError, BadRequest, HandlerFailed) as error:
        raise NothingToExport(f"{example.file}: {error}") from error
    if not isinstance(handler.model, nn.Module) or not isinstance(tensor, torch.Tensor):
        kinds = f"{type(handler.model).__name__} and {type(tensor).__name__}"
        raise NothingToExport(f"expected a network from model_fn and a tensor from input_fn, got {kinds}")
    return ExportInput(handler.model.eval(), tensor.numpy(), keep_instances=True)
