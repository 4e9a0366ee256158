"""Archives of user programs, as AWS's documentation of its PyTorch container describes them."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn


class Halver(nn.Module):
    """Halves what comes in: TorchScript, as `model.pt`, with no code beside it."""

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers / 2


# A state dict, a network in a module of its own that is called like one of this project's, an image as
# bytes, an answer in a type of the team's own.
BRIGHTNESS_MODEL = """
from torch import nn


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)

    def forward(self, pixels):
        return self.scale(pixels.mean().view(1, 1))
"""
BRIGHTNESS_PROGRAM = """
import json
import logging
import os

import torch

from model import Brightness

logger = logging.getLogger(__name__)


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Brightness()
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, map_location=device))
    logger.info("loaded")
    return model.to(device).eval()


def input_fn(request_body, request_content_type):
    if request_content_type == "application/x-image":
        return torch.tensor(list(request_body), dtype=torch.float32)
    if request_content_type == "application/json":
        assert isinstance(request_body, str)
        return torch.tensor(json.loads(request_body)["inputs"], dtype=torch.float32)
    raise ValueError(f"Unsupported content type: {request_content_type}")


def predict_fn(input_object, model):
    with torch.no_grad():
        return model(input_object)


def output_fn(prediction, content_type):
    if content_type == "application/vnd.brightness":
        return f"brightness {prediction.item():.1f}"
    return json.dumps({"brightness": prediction.item()})
"""


def torchscript(directory: Path) -> Path:
    """Write model.pt alone."""
    directory.mkdir(parents=True, exist_ok=True)
    torch.jit.script(Halver()).save(str(directory / "model.pt"))  # type: ignore[no-untyped-call]
    return directory


def brightness(directory: Path) -> Path:
    """Write model.pth (a state dict that doubles), code/inference.py and code/model.py."""
    program(directory, BRIGHTNESS_PROGRAM)
    (directory / "code" / "model.py").write_text(BRIGHTNESS_MODEL)
    torch.save({"scale.weight": torch.tensor([[2.0]])}, directory / "model.pth")
    return directory


def wheel(directory: Path, name: str, source: str) -> Path:
    """Write a wheel of one module called `name`, version 1.0, into `directory`, as `pip wheel` would."""
    directory.mkdir(parents=True, exist_ok=True)
    file, info = directory / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", source)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return file


def in_need_of_a_package(directory: Path) -> Path:
    """Write an archive whose code/requirements.txt names a package that is not installed."""
    program(
        directory,
        "import greeting\ndef model_fn(d): pass\ndef transform_fn(m, b, c, a): return greeting.WORD",
    )
    (directory / "code" / "requirements.txt").write_text("greeting==1.0\n")
    return directory


def program(directory: Path, source: str, name: str = "inference.py") -> Path:
    """Write code/inference.py with `source`, and no weights."""
    file = directory / "code" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return directory


def namesakes(directory: Path, names: Iterable[str]) -> Path:
    """Write a program that imports its own module of each name, and answers where each came from."""
    listed = ", ".join(names)
    source = f"""
import sys
import {listed}

MODULES = [{listed}]

def model_fn(model_dir):
    import {listed}
    assert MODULES == [{listed}]
    return {{module.NAME: module.__file__ for module in MODULES}}

def transform_fn(model, body, content_type, accept):
    return model
"""
    program(directory, source)
    for name in names:
        (directory / "code" / f"{name}.py").write_text(f"NAME = {name!r}\n")
    return directory
