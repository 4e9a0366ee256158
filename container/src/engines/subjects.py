"""What is in a model directory to be exported: the project's own network, or the one of a user's program."""

from dataclasses import dataclass
from pathlib import Path

import model
import torch
import user_program
from flask import Flask
from handler import HandlerFailed
from media import BadRequest
from torch import nn
from user_handler import UserHandler

from engines import golden, pytorch
from engines.archive import Subject


class NoSubject(Exception):  # named for what happened
    """There is nothing to export; the text says what is missing."""


@dataclass(frozen=True)
class Example:
    """A request to a user's program."""

    file: Path
    content_type: str


def of(model_dir: Path, example: Example | None) -> Subject:
    """The network in `model_dir` and golden instances. Raises NoSubject and CannotLoad."""
    if user_program.find(model_dir, {}) is not None:
        return _of_program(model_dir, example)
    try:
        net = model.load(model_dir)
        cases = golden.read(model_dir)
    except (model.ModelProblem, ValueError) as error:
        raise NoSubject(str(error)) from error
    if cases is None:
        raise NoSubject(f"{model_dir / golden.FILE}: there are no golden cases to compare engines by")
    try:
        cases.check(pytorch.PyTorch(net).predict(cases.instances))
    except golden.WrongAnswers as error:
        raise NoSubject(f"{model_dir / golden.FILE}: not of these weights: {error}") from error
    return Subject(net, cases.instances)


def _of_program(model_dir: Path, example: Example | None) -> Subject:
    """Its golden instances go into engines-golden.npz: golden.json may be in formats of its own."""
    if example is None:
        raise NoSubject(f"{model_dir}/code/inference.py takes what it likes: name a request by --example")
    handler = UserHandler(user_program.find(model_dir, {}), model_dir, {})
    handler.warm_up()
    try:
        with Flask(__name__).test_request_context():  # its context may be asked for the request's headers
            tensor = handler.decode(example.file.read_bytes(), example.content_type)
    except (OSError, BadRequest, HandlerFailed) as error:
        raise NoSubject(f"{example.file}: {error}") from error
    if not isinstance(handler.model, nn.Module) or not isinstance(tensor, torch.Tensor):
        kinds = f"{type(handler.model).__name__} and {type(tensor).__name__}"
        raise NoSubject(f"expected a network from model_fn and a tensor from input_fn, got {kinds}")
    return Subject(handler.model.eval(), tensor.numpy(), keep_instances=True)
