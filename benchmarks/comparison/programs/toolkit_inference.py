"""inference.py for AWS's inference toolkit: the digits model, where the archive has no program of its own."""

import json
from typing import Any

import workload
from torch import Tensor


def model_fn(model_dir: str) -> workload.Workload:  # noqa: ARG001
    return workload.load()


def input_fn(body: str | bytes, content_type: str) -> Any:  # noqa: ARG001
    return json.loads(body)


def predict_fn(data: Any, model: workload.Workload) -> dict[str, Any]:
    output: Tensor = model.predict(model.decode(data))
    return model.encode(output)


def output_fn(prediction: dict[str, Any], accept: str) -> str:  # noqa: ARG001
    return json.dumps(prediction)
