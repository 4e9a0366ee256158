"""The model: a small network that maps ten numbers to one."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from digits.codec import FEATURES
from serving.engines import WEIGHTS, ModelProblem


def make_network() -> nn.Sequential:
    """Return the network with random weights; it takes float32 (N, 10) and gives (N, 1)."""
    return nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 1))


def save(net: nn.Module, directory: Path) -> None:
    """Write the weights of `net` into `directory`; the same weights give the same bytes."""
    (directory / WEIGHTS).write_bytes(to_bytes(net.state_dict(), metadata={"format": "pt"}))


def load(directory: Path) -> nn.Module:
    """Load the weights in `directory`. Raises ModelProblem when they are missing or do not fit."""
    net = make_network()
    try:
        net.load_state_dict(load_file(directory / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelProblem(f"{directory / WEIGHTS}: {' '.join(str(error).split())}") from error
    return net.eval()
