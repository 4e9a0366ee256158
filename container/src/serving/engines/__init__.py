"""Engines compute a model's predictions: PyTorch, ONNX Runtime and OpenVINO behind one interface.

    engine = engines.load(Choice("onnxruntime", "fp32"), model_dir, load_network)
    probabilities = engine.predict(images)      # NumPy in, NumPy out

`predict` takes a batch of the model's input, an array of shape (N, …) with any N, and returns float32 of
shape (N, …). Row i answers `batch[i]` independently of the other rows, so callers may join several
requests into one batch. Call it from one thread at a time: the handler holds a lock, so that workers ×
engine threads stays within the CPUs.

Call `load` in gunicorn's master: it reads what workers can share, and starts no thread, which would not
survive the fork. Call `predict` in the worker: the first call opens the session, with OMP_NUM_THREADS
threads (`serve` sets it by its plan). Only the chosen engine's module is imported.

`record.py` reads and writes the archive's engines.json, `choice.py` chooses by it and by ENGINE,
`agreement.py` compares predictions, `archive.py`, `export.py` and `measure.py` make the record
(`python -m serving.engines`).
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "model.safetensors"  # for PyTorch
EXPORTED = "model.onnx"  # for the others; its input is `INPUT`, its output `OUTPUT`
INPUT, OUTPUT = "batch", "prediction"

TORCH, ONNXRUNTIME, OPENVINO = "torch", "onnxruntime", "openvino"
FP32, BF16 = "fp32", "bf16"
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    ONNXRUNTIME: (FP32,),
    OPENVINO: (FP32, BF16),
    TORCH: (FP32,),
}
_MODULES = {TORCH: "pytorch", ONNXRUNTIME: "onnx_runtime", OPENVINO: "open_vino"}
LoadNetwork = Callable[[Path], "nn.Module"]  # a model directory's network, for PyTorch; raises ModelProblem


class ModelProblem(Exception):
    """The weights are missing, corrupt, or of another network; the text says which."""


@dataclass(frozen=True)
class Choice:
    """An engine and its precision: a pair in PRECISIONS."""

    engine: str
    precision: str = FP32

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


class Engine(Protocol):
    """A loaded model."""

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Predict `batch`, row by row. Raises whatever the engine raises."""


class _EngineModule(Protocol):
    """A module of this package that implements an engine."""

    def load(self, model_dir: Path, precision: str, load_network: LoadNetwork) -> Engine:
        """Load the model in `model_dir` without opening a session."""


def load(choice: Choice, model_dir: Path, load_network: LoadNetwork) -> Engine:
    """Load the model in `model_dir` into the engine of `choice`. Raises ModelProblem."""
    _disable_telemetry()
    module = cast(_EngineModule, importlib.import_module(f"serving.engines.{_MODULES[choice.engine]}"))
    return module.load(model_dir, choice.precision, load_network)


def _disable_telemetry() -> None:
    """Keep engines from calling home on import: that takes a network, and threads that a fork would break."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))  # as if it were not installed


def threads(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of threads that one prediction may use."""
    text = environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) >= 1 else 1
