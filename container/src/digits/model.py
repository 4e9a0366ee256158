"""The model: a small convolutional network that reads handwritten digits of 8×8 pixels.

PyTorch's engine, training and export import this; other engines compute the exported model.
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from digits.codec import BRIGHTEST, LABELS
from serving.engines import WEIGHTS, ModelProblem

SIDE = 8


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


class Probabilities(nn.Module):
    """The network that is served and exported: probabilities (N, 10) from the logits."""

    def __init__(self, net: DigitsNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.net(pixels)
        return logits.softmax(dim=1)


def save(net: DigitsNet, directory: Path) -> None:
    """Write the weights of `net` into `directory`; the same weights give the same bytes."""
    (directory / WEIGHTS).write_bytes(to_bytes(net.state_dict(), metadata={"format": "pt"}))


def load(directory: Path) -> nn.Module:
    """Load the weights in `directory` into the network that is served.

    Raises ModelProblem when the weights are missing or do not fit.
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
    return Probabilities(net).eval()
