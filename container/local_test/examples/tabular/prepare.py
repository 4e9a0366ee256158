#!/usr/bin/env python
"""Make a model of the tabular example, a TorchScript network without a program, in a directory.

prepare.py DIR [--seed N]
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn

FEATURES = 10


def network(seed: int) -> nn.Module:
    """Return a network that maps float32 (N, 10) to (N, 1); its weights are random, from the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 1)).eval()


def main() -> int:
    """Write the directory; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    traced = torch.jit.trace(network(arguments.seed), torch.zeros(1, FEATURES))
    torch.jit.save(traced, arguments.target / "model.pt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
