"""Default handler functions, as in AWS's PyTorch inference toolkit.

A TorchScript model; tensors in from JSON, JSON Lines, CSV, .npy and .npz; out by Accept.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.handlers import arrays, media
from serving.handlers.errors import BadPrediction, BadRequest

_SUFFIXES = (".pt", ".pth")
_MOST_UNPACKED = 1 << 30  # bytes of a .npz


def device() -> torch.device:
    """Return the device for models: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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


def input_fn(body: str | bytes, content_type: str) -> Any:
    """Decode a tensor: float32 from text, the file's type from .npy; a dict from a .npz of several arrays.

    Raises BadRequest for a body that is not in its format, and with 415 for another format.
    """
    kind = media.essence(content_type)
    if kind == media.NPY:
        return _tensor(arrays.from_npy(_bytes(body)))
    if kind == media.NPZ:
        tensors = {
            name: _tensor(array)
            for name, array in arrays.from_npz(_bytes(body), most_bytes=_MOST_UNPACKED).items()
        }
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors
    try:
        text = body if isinstance(body, str) else body.decode()
        if kind == media.JSON:
            numbers = np.array(json.loads(text), dtype=np.float32)
        elif kind == media.JSON_LINES:
            lines = [json.loads(line) for line in text.split("\n") if line.strip()]
            numbers = np.array(lines, dtype=np.float32)
        elif kind == media.CSV:
            numbers = _csv(text)
        else:
            raise media.unsupported(content_type)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadRequest(f"body: expected numbers in {kind}: {str(error)[:200]}") from None
    return torch.from_numpy(numbers).to(device())


def predict_fn(data: Any, model: Any) -> Any:
    """Return the model's output for `data`."""
    model.eval()
    with torch.no_grad():
        return model(data)


def output_fn(prediction: Any, accept: str) -> bytes | Iterator[Any]:
    """Encode `prediction` in the type `accept`; pass a generator on.

    Raises BadPrediction for NaN and infinity in JSON, which cannot represent them.
    """
    if isinstance(prediction, Iterator):
        return prediction
    if accept == media.JSON:
        return _json(prediction)
    if accept == media.NPZ:
        named = prediction if isinstance(prediction, dict) else {"predictions": prediction}
        return arrays.to_npz({name: _array(value) for name, value in named.items()})
    array = _array(prediction)
    if accept == media.NPY:
        return arrays.to_npy(array)
    if accept == media.JSON_LINES:
        return b"".join(_json(row) + b"\n" for row in np.atleast_1d(array))
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


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="))).to(device())


def _csv(text: str) -> NDArray[np.float32]:
    """Read CSV as NumPy does: one line gives one dimension, several give two."""
    if not text.strip():
        raise BadRequest("body: expected lines of numbers, got nothing")
    return np.loadtxt(io.StringIO(text), dtype=np.float32, delimiter=",", comments=None)


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
