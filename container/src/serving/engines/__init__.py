"""Engines: what computes the predictions of a model, behind one form.

    engine = engines.load(Choice("onnxruntime", "fp32"), model_dir)
    probabilities = engine.predict(images)      # NumPy in, NumPy out

`predict` takes a batch of the model's input, an array of shape (N, …) with N free from call to call, and
gives float32 of shape (N, …). Row i is the answer to `batch[i]` whatever stands beside it, so callers may
join several requests into one batch and split the answer again. One call at a time in each process: the
handler keeps the turn, so that workers × engine threads stays within the CPUs.

`load` belongs into gunicorn's master: it reads what workers can share and starts no thread, which a fork
would lose. The first `predict` belongs into the worker: it opens the session, with as many threads as
OMP_NUM_THREADS says (`serve` sets it by its plan). Only the module of the chosen engine is imported.

`record.py` is the archive's engines.json, `choice.py` decides by it and by ENGINE, `golden.py` checks
answers, `export.py` and `measure.py` make the record (`python -m engines`).
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

WEIGHTS = "model.safetensors"  # what PyTorch reads
EXPORTED = "model.onnx"  # what the others read; its input is `INPUT`, its output `OUTPUT`
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
    """An engine, and the precision it computes in: a pair that PRECISIONS has."""

    engine: str
    precision: str = FP32

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


class Engine(Protocol):
    """A model that is ready to compute."""

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The answers to `batch`, row by row; raises whatever the engine raises."""


class _EngineModule(Protocol):
    """What a module of this package offers that is an engine."""

    def load(self, model_dir: Path, precision: str, load_network: LoadNetwork) -> Engine:
        """The engine for the model in `model_dir`; opens no session yet."""


def load(choice: Choice, model_dir: Path, load_network: LoadNetwork) -> Engine:
    """The engine of `choice` for the model in `model_dir`; see above for what is done when."""
    _keep_to_ourselves()
    module = cast(_EngineModule, importlib.import_module(f"serving.engines.{_MODULES[choice.engine]}"))
    return module.load(model_dir, choice.precision, load_network)


def _keep_to_ourselves() -> None:
    """Let no engine call home when it is imported: it needs a network, and threads that a fork would break."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))  # as if it were not installed


def threads(environ: Mapping[str, str] = os.environ) -> int:
    """How many threads one prediction may use."""
    text = environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) >= 1 else 1
