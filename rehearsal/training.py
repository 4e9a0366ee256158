"""Train the model that this rehearsal releases, once per content of code, data and hyperparameters."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

SOURCE = ROOT / "container" / "src"
LOCAL_TREE = ROOT / "container" / "local_test" / "opt" / "ml"
SEED = "1"  # not the seed of the committed weights: the rehearsal releases a model of its own
TRAINING_SECONDS = 300.0


def trained_model(cache: Path, log: Path) -> Path:
    """Return the folder of a trained model (on SageMaker: /opt/ml/model).

    The folder is in `cache`, named by the hash of all inputs of the training: a second call trains nothing.
    Raises RehearsalError with the training's own message.
    """
    hyperparameters = json.loads((LOCAL_TREE / "input/config/hyperparameters.json").read_text()) | {
        "seed": SEED
    }
    home = cache / "trained" / _key(hyperparameters)
    if (home / "golden.json").is_file():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        root = Path(scratch)
        shutil.copytree(LOCAL_TREE / "input", root / "input")
        (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters, indent=2))
        _train(root, log)
        (root / "model").rename(home)
    return home


def _key(hyperparameters: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(hyperparameters, sort_keys=True).encode())
    files = [path for path in sorted(SOURCE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in [*files, *sorted((LOCAL_TREE / "input/data").rglob("*.gz")), ROOT / "container/torch.txt"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _train(root: Path, log: Path) -> None:
    with log.open("w") as out:
        code = subprocess.run(
            [sys.executable, str(SOURCE / "train")],
            env=os.environ | {"SAGEMAKER_BASE_DIR": str(root)},
            stdout=out, stderr=subprocess.STDOUT, timeout=TRAINING_SECONDS,
        ).returncode  # fmt: skip
    if code != 0:
        failure = root / "output" / "failure"
        reason = failure.read_text() if failure.exists() else f"exit code {code}"
        raise RehearsalError(f"The training failed: {reason}", fix=f"Read {log}.")
