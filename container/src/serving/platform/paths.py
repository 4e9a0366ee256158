"""Where SageMaker puts what a container reads, and looks for what it writes."""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_BASE = "/opt/ml"


def base_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The root of SageMaker's tree: SAGEMAKER_BASE_DIR, or /opt/ml as SageMaker itself has it."""
    return Path(environ.get("SAGEMAKER_BASE_DIR") or DEFAULT_BASE)


def model_dir(base: Path) -> Path:
    """Weights: written by `train`, read (and read only) by `serve`."""
    return base / "model"


def hyperparameters_file(base: Path) -> Path:
    """One JSON object; SageMaker makes every value a string."""
    return base / "input" / "config" / "hyperparameters.json"


def channel_dir(base: Path, channel: str) -> Path:
    """The files of one training channel."""
    return base / "input" / "data" / channel


def failure_file(base: Path) -> Path:
    """Its first 1,024 characters become the training job's FailureReason."""
    return base / "output" / "failure"
