#!/usr/bin/env python
"""Make a model of the image example, with its inference.py, in a directory.

prepare.py DIR [--seed N]
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

CODE = Path(__file__).resolve().parent / "code"


def main() -> int:
    """Write the directory; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.path.insert(0, str(CODE))
    from network import make_network

    with torch.random.fork_rng():
        torch.manual_seed(arguments.seed)
        weights = make_network().state_dict()
    arguments.target.mkdir(parents=True, exist_ok=True)
    file = arguments.target / "model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)  # readable for the container's user
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CODE, arguments.target / "code", dirs_exist_ok=True, ignore=ignored)
    return 0


if __name__ == "__main__":
    sys.exit(main())
