"""Train the network, and measure its accuracy on other images."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from digits.dataset import Digits
from digits.hyperparameters import Hyperparameters
from digits.model import SIDE, DigitsNet

logger = logging.getLogger(__name__)


def fit(training: Digits, settings: Hyperparameters) -> DigitsNet:
    """Train a network on `training`; the same settings give the same weights on the same machine.

    It uses one thread: with more, the order of additions would change the last digits.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    images, labels = torch.from_numpy(training.images), torch.from_numpy(training.labels)
    net = DigitsNet().train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * -(-len(training) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(steps, 2)
    )
    for epoch in range(1, settings.epochs + 1):
        total = 0.0
        for batch in _batches(len(training), settings.batch_size):
            loss = nn.functional.cross_entropy(net(shifted(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        logger.info("epoch=%d loss=%.4f", epoch, total / len(training))
    return net.eval()


def accuracy(net: DigitsNet, digits: Digits) -> float:
    """Return the share of `digits` that `net` classifies correctly, from 0 to 1."""
    with torch.inference_mode():
        answers = net(torch.from_numpy(digits.images)).argmax(dim=1)
    return int((answers == torch.from_numpy(digits.labels)).sum()) / len(digits)


def shifted(images: Tensor) -> Tensor:
    """Move each image by up to one pixel in each direction, blank pixels coming in; (N, 64) to (N, 64)."""
    padded = nn.functional.pad(images.view(-1, SIDE, SIDE), (1, 1, 1, 1))
    down, right = torch.randint(0, 3, (2, len(images), 1, 1))
    rows = down + torch.arange(SIDE).view(1, SIDE, 1)
    columns = right + torch.arange(SIDE).view(1, 1, SIDE)
    return padded[torch.arange(len(images)).view(-1, 1, 1), rows, columns].view(len(images), -1)


def _batches(size: int, batch_size: int) -> Iterator[Tensor]:
    yield from torch.split(torch.randperm(size), batch_size)
