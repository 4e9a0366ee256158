"""An inference.py for AWS's inference toolkit, which serves the digits model."""

import json
from typing import Any

import workload
from torch import Tensor


def model_fn(model_dir: str) -> workload.Workload:  # noqa: ARG001
    """Load the model."""
    return workload.load()


def input_fn(body: str | bytes, content_type: str) -> Any:  # noqa: ARG001
    """Parse a request."""
    return json.loads(body)


def predict_fn(data: Any, model: workload.Workload) -> dict[str, Any]:
    """Predict one batch."""
    output: Tensor = model.predict(model.decode(data))
    return model.encode(output)


def output_fn(prediction: dict[str, Any], accept: str) -> str:  # noqa: ARG001
    """Write an answer as JSON."""
    return json.dumps(prediction)
