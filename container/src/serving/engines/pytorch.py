"""PyTorch: the reference for the other engines, always available, on the GPU if there is one."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from serving.engines import LoadNetwork
from serving.platform import devices


class PyTorch:
    """A network; the first prediction moves it to the GPU, if there is one."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval()

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answers = self.net(torch.from_numpy(batch).to(self._device))
        prediction: NDArray[np.float32] = answers.cpu().numpy()
        return prediction

    @cached_property
    def _device(self) -> torch.device:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net.to(device)
        return device


def load(model_dir: Path, precision: str, load_network: LoadNetwork) -> PyTorch:  # noqa: ARG001
    """Load the network with the weights in `model_dir`. Raises ModelProblem.

    On a CPU it uses the channels-last layout, which halves the time of a batch of convolutions.
    """
    net = load_network(model_dir)
    if not devices.visible_devices(os.environ):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return PyTorch(net)
