#!/usr/bin/env python
"""Make a model of the first example, the project's own digits, in a directory.

    prepare.py DIR [--seed N]

Without a seed the committed weights are copied; with one, `train` trains others.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCAL_TEST = Path(__file__).resolve().parents[2]
TREE = LOCAL_TEST / "opt" / "ml"
TRAIN = LOCAL_TEST.parent / "src" / "train"
TRAINING_SECONDS = 600.0


def main() -> int:
    """Write the directory; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", help="of the training; without it the committed weights are copied")
    arguments = parser.parse_args()
    if arguments.seed is None:
        shutil.copytree(TREE / "model", arguments.target, dirs_exist_ok=True)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        code = train(root, arguments.seed)
        if code == 0:
            shutil.copytree(root / "model", arguments.target, dirs_exist_ok=True)
    return code


def train(root: Path, seed: str) -> int:
    """Train in a tree as SageMaker lays it out below `root`; return the exit code, after saying why it is not 0."""
    shutil.copytree(TREE / "input", root / "input")
    chosen = root / "input" / "config" / "hyperparameters.json"
    chosen.write_text(json.dumps(json.loads(chosen.read_text()) | {"seed": seed}))
    environ = os.environ | {"SAGEMAKER_BASE_DIR": str(root)}
    code = subprocess.run(
        [sys.executable, str(TRAIN)], env=environ, timeout=TRAINING_SECONDS, check=False
    ).returncode
    failure = root / "output" / "failure"
    if code and failure.is_file():
        print(failure.read_text(), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
