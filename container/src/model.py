"""The model: a small convolutional network that reads handwritten digits of 8×8 pixels."""

import threading
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

WEIGHTS = "model.safetensors"
SIDE = 8
LABELS = 10
BRIGHTEST = 16.0


class ModelProblem(Exception):  # noqa: N818  # named for what happened
    """The weights are missing, corrupt, or of another network; the text says which."""


class DigitsNet(nn.Module):
    """31,000 parameters. Takes float32 of shape (N, 64), pixels in [0, 16]; gives logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 2 * 2, LABELS))

    def forward(self, pixels: Tensor) -> Tensor:
        images = (pixels / BRIGHTEST).view(-1, 1, SIDE, SIDE)
        logits: Tensor = self.classify(self.features(images))
        return logits


class Model:
    """A network that is ready to predict. One prediction at a time: threads wait for their turn."""

    def __init__(self, net: DigitsNet) -> None:
        self._net = net.eval()
        self._turn = threading.Lock()  # so that workers × engine threads stays within the CPUs
        self.has_predicted = False

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of shape (N, 10) for images of shape (N, 64), pixels in [0, 16]."""
        with self._turn, torch.inference_mode():
            logits = self._net(torch.from_numpy(images))
            probabilities: NDArray[np.float32] = logits.softmax(dim=1).numpy()
        self.has_predicted = True
        return probabilities

    def warm_up(self) -> None:
        """Predict one blank image, so that the first caller does not pay for first times."""
        self.predict(np.zeros((1, SIDE * SIDE), dtype=np.float32))


def save(net: DigitsNet, directory: Path) -> None:
    """Write the weights of `net` into `directory`; the same weights give the same bytes."""
    (directory / WEIGHTS).write_bytes(to_bytes(net.state_dict(), metadata={"format": "pt"}))


def load(directory: Path) -> Model:
    """Read the model out of `directory`. Does not predict: that is for the process that serves.

    Raises ModelProblem when the weights are not there or do not fit.
    """
    path = directory / WEIGHTS
    if not path.is_file():
        raise ModelProblem(f"{path}: there are no weights; train first, or mount a model there")
    net = DigitsNet()
    try:
        net.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ModelProblem(f"{path}: not a safetensors file ({error})") from error
    except RuntimeError as error:  # torch lists every tensor that is missing or misshapen, line by line
        details = " ".join(str(error).split())
        raise ModelProblem(f"{path}: these are the weights of another network ({details})") from error
    return Model(net)
