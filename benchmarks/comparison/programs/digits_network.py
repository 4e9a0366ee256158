"""The network of container/src/digits/model.py for the peers' environments, which have nothing of this project's."""

from torch import Tensor, nn


class DigitsNet(nn.Module):
    """Takes float32 of shape (N, 64), pixels in [0, 16]; gives logits (N, 10)."""

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
        self.classify = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 2 * 2, 10))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features((pixels / 16).view(-1, 1, 8, 8)))
        return logits
