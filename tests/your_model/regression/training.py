"""Train the network, and measure its error on other rows."""

import logging

import torch
from torch import nn

from digits.dataset import Numbers
from digits.hyperparameters import Hyperparameters
from digits.model import make_network

logger = logging.getLogger(__name__)


def fit(training: Numbers, settings: Hyperparameters) -> nn.Module:
    """Train a network; the same settings give the same weights on the same machine."""
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    rows, targets = torch.from_numpy(training.rows), torch.from_numpy(training.targets)
    net = make_network().train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate)
    for epoch in range(1, settings.epochs + 1):
        for batch in torch.split(torch.randperm(len(training)), settings.batch_size):
            loss = nn.functional.mse_loss(net(rows[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        logger.info("epoch=%d loss=%.4f", epoch, loss.item())
    return net.eval()


def mean_squared_error(net: nn.Module, numbers: Numbers) -> float:
    """Return the mean squared error of `net` on `numbers`."""
    with torch.inference_mode():
        found = net(torch.from_numpy(numbers.rows))
        return float(nn.functional.mse_loss(found, torch.from_numpy(numbers.targets)))
