"""The network: pictures, float32 (N, 3, 32, 32), to the logits of three classes."""

from torch import nn

SIDE = 32
CLASSES = ("cat", "dog", "neither")


def make_network() -> nn.Module:
    """Return the network with random weights."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4),
        nn.Flatten(), nn.Linear(32 * 16, len(CLASSES)),
    )  # fmt: skip
