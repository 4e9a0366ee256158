"""The device of models that a program does not place itself."""

import torch


def device() -> torch.device:
    """Return the device for models: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
