"""OpenVINO on the CPU, in fp32 or, where the CPU can and the limits allow it, bf16."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino  # type: ignore[import-untyped]
from numpy.typing import NDArray

from serving.engines import BF16, EXPORTED, FP32, LoadNetwork, threads

_HINTS = {FP32: "f32", BF16: "bf16"}


class OpenVino:
    """The exported model; the first prediction compiles it for this CPU."""

    def __init__(self, model: Path, precision: str) -> None:
        self._model, self._precision = model, precision

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        # The input lives as long as the call, so it is shared; the output lives longer, so it is copied.
        results = self._request.infer({0: batch}, share_inputs=True, share_outputs=False)
        prediction: NDArray[np.float32] = results[0]
        return prediction

    @cached_property
    def _request(self) -> Any:
        settings = {
            "INFERENCE_NUM_THREADS": threads(),
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # it would pin all workers to the first CPU
        }
        return openvino.Core().compile_model(str(self._model), "CPU", settings).create_infer_request()


def load(model_dir: Path, precision: str, load_network: LoadNetwork) -> OpenVino:  # noqa: ARG001
    """Load model.onnx in `model_dir`."""
    return OpenVino(model_dir / EXPORTED, precision)
