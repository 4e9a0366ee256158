#!/usr/bin/env python
"""Make the archive of the second example, a text encoder.

    prepare.py DIR              a directory as SageMaker unpacks it into /opt/ml/model
    prepare.py FILE.tar.gz      the same, packed

The archive has 42 MB, so it is not committed. Its weights are random, from a seed: the example shows how to
serve another kind of model.
"""

import argparse
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

CODE = Path(__file__).resolve().parent / "code"
SEED = 5


def write(directory: Path, seed: int = SEED) -> None:
    """Write model.safetensors and code/ into `directory`; the same seed and torch give the same bytes."""
    sys.path.insert(0, str(CODE))
    try:
        from encoder import Encoder
    finally:
        sys.path.remove(str(CODE))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = Encoder().state_dict()
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)  # readable for the container's user
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CODE, directory / "code", dirs_exist_ok=True, ignore=ignored)


def pack(directory: Path, archive: Path) -> None:
    """Pack `directory` into a .tar.gz as SageMaker expects it: without a folder around the files."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        for entry in sorted(directory.iterdir()):
            packed.add(entry, entry.name)


def main() -> int:
    """Write the archive; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    target: Path = arguments.target
    if target.name.endswith(".tar.gz"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            write(Path(scratch), arguments.seed)
            pack(Path(scratch), target)
    else:
        write(target, arguments.seed)
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
