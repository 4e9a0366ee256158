"""The files and folders of SageMaker's tree, /opt/ml."""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_BASE = "/opt/ml"


def base_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the root of the tree, an absolute path: SAGEMAKER_BASE_DIR, or /opt/ml."""
    return Path(environ.get("SAGEMAKER_BASE_DIR") or DEFAULT_BASE).absolute()


def model_dir(base: Path) -> Path:
    """Return the model's folder: `train` writes it, `serve` only reads it."""
    return base / "model"


def hyperparameters_file(base: Path) -> Path:
    """Return the hyperparameters' file: one JSON object, in which SageMaker makes every value a string."""
    return base / "input" / "config" / "hyperparameters.json"


def channel_dir(base: Path, channel: str) -> Path:
    """Return the folder of a training channel."""
    return base / "input" / "data" / channel


def failure_file(base: Path) -> Path:
    """Return the failure's file; its first 1,024 characters become the training job's FailureReason."""
    return base / "output" / "failure"
