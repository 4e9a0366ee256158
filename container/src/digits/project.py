"""The project's model as the server gets it."""

from pathlib import Path
from typing import TYPE_CHECKING

from digits.handler import DigitsHandler
from digits.schema import INTERFACE
from serving.handlers.project_model import ProjectModel

if TYPE_CHECKING:
    from torch import nn


def load_network(model_dir: Path) -> "nn.Module":
    """Load the network with the weights in `model_dir`. Raises ModelProblem."""
    from digits import model  # only here, because it imports PyTorch: other engines start without it

    return model.load(model_dir)


DIGITS = ProjectModel(DigitsHandler, load_network, INTERFACE.digest)
