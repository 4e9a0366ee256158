"""Default handler functions, as in AWS's PyTorch inference toolkit; toolkit_input.py has the default input_fn.

A TorchScript model; tensors in; out by Accept.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.handlers import arrays, media
from serving.handlers.errors import BadPrediction, BadRequest
from serving.handlers.toolkit_device import device

_SUFFIXES = (".pt", ".pth")


def model_fn(model_dir: str) -> Any:
    """Load the TorchScript model in `model_dir`: model.pt, or else the only .pt or .pth file.

    Raises ValueError if there is none, or more than one.
    """
    path = Path(model_dir) / "model.pt"
    if not path.is_file():
        found = sorted(file for file in Path(model_dir).iterdir() if file.suffix in _SUFFIXES)
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise ValueError(f"without a model_fn, expected one TorchScript file .pt or .pth, got {names}")
        path = found[0]
    try:
        return torch.jit.load(str(path), map_location=device())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(
            f"{path.name}: not TorchScript; save it by torch.jit, or write a model_fn"
        ) from error


def predict_fn(data: Any, model: Any) -> Any:
    """Return the model's output for `data`."""
    model.eval()
    with torch.no_grad():
        return model(data)


def output_fn(prediction: Any, accept: str) -> bytes | Iterator[Any]:
    """Encode `prediction` in the type `accept`; pass a generator on.

    Raises BadPrediction for NaN and infinity in JSON, which cannot represent them, and BadRequest (406) for a
    prediction that has no form in `accept`.
    """
    if isinstance(prediction, Iterator):
        return prediction
    if accept == media.JSON:
        return _json(prediction)
    if accept == media.JSON_LINES:
        return b"".join(_json(row) + b"\n" for row in _rows(prediction))
    if accept == media.NPZ:
        named = prediction if isinstance(prediction, dict) else {"predictions": prediction}
        return arrays.to_npz({str(name): _array(value, accept) for name, value in named.items()})
    array = _array(prediction, accept)
    if accept == media.NPY:
        return arrays.to_npy(array)
    if array.ndim > 2:
        raise BadRequest(f"Accept: a prediction of {array.ndim} dimensions cannot be {accept}", status=406)
    rows = array.reshape(-1, 1) if array.ndim < 2 else array
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode()


def to_json_value(value: Any) -> Any:
    """Convert tensors, arrays and NumPy's numbers for json.dumps."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, default=to_json_value, allow_nan=False).encode()
    except ValueError as error:
        raise BadPrediction(f"expected finite numbers in the prediction: {error}") from error


def _rows(prediction: Any) -> Sequence[Any]:
    """Return what JSON Lines has a line of: rows, or the whole of what has none."""
    if isinstance(prediction, list | tuple):
        return prediction
    if isinstance(prediction, torch.Tensor | np.ndarray) and prediction.ndim:
        rows: Sequence[Any] = list(prediction)
        return rows
    return [prediction]


def _array(value: Any, accept: str) -> NDArray[Any]:
    """Return the prediction as an array of numbers or texts. Raises BadRequest (406) if it is none."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()  # NumPy has no bfloat16
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.empty(0, dtype=object)
    if array.dtype.hasobject:
        raise BadRequest(
            f"Accept: a prediction of type {type(value).__name__} cannot be {accept}", status=406
        )
    return array
