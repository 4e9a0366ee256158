"""The default input_fn: tensors from JSON, JSON Lines, CSV, .npy and .npz, or a refusal that says where."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.handlers import arrays, media
from serving.handlers.errors import BadRequest
from serving.handlers.toolkit_device import device

InputFunction = Callable[[str | bytes, str], Any]
_SHOWN = 40  # characters of what a caller sent


def input_fn_of(most_bytes: int) -> InputFunction:
    """Return the default input_fn, for bodies that unpack to `most_bytes` or fewer."""

    def input_fn(body: str | bytes, content_type: str) -> Any:
        """Decode a tensor: float32 from text, the file's type from .npy; a dict from a .npz of several arrays.

        Raises BadRequest for a body that is not in its format, and with 415 for another format.
        """
        kind = media.essence(content_type)
        if kind == media.NPY:
            return _tensor(arrays.from_npy(_bytes(body)), "body")
        if kind == media.NPZ:
            named = arrays.from_npz(_bytes(body), most_bytes=most_bytes)
            tensors = {name: _tensor(array, ascii(name[:_SHOWN])) for name, array in named.items()}
            return next(iter(tensors.values())) if len(tensors) == 1 else tensors
        return torch.from_numpy(_numbers(body, kind, content_type)).to(device())

    return input_fn


def _numbers(body: str | bytes, kind: str, content_type: str) -> NDArray[np.float32]:
    """Read an array of finite numbers from text."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8-sig")
        if kind == media.JSON:
            values = json.loads(text)
        elif kind == media.JSON_LINES:
            values = [json.loads(line) for line in text.split("\n") if line.strip()]
        elif kind == media.CSV:
            return _checked(_csv(text))
        else:
            raise media.unsupported(content_type)
        return _checked(_array(values), values)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadRequest(f"body: expected numbers in {kind}: {str(error)[:200]}") from None


def _array(values: Any) -> NDArray[np.float32]:
    with np.errstate(
        over="ignore"
    ):  # a number beyond float32 becomes infinite, and is refused with its place
        return np.array(values, dtype=np.float32)


def _checked(array: NDArray[Any], values: Any = None) -> NDArray[Any]:
    """Return the array if it has numbers, all finite. Raises BadRequest with the place of the first that is not."""
    if array.size == 0:
        raise BadRequest(f"body: expected numbers, got an empty array of shape {array.shape}")
    if np.isfinite(array).all():
        return array
    place = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
    value = array[place].item()
    for index in place if values is not None else ():
        values = values[index]
    shown = json.dumps(value if values is None and value == value else values)[:_SHOWN]
    where = "body" + "".join(f"[{index}]" for index in place)
    raise BadRequest(f"{where}: expected a finite number in {array.dtype}, got {shown}")


def _tensor(array: NDArray[Any], where: str) -> torch.Tensor:
    native = np.array(array, dtype=array.dtype.newbyteorder("="))
    if native.dtype.kind == "f" and not np.isfinite(native).all():
        place = np.argwhere(~np.isfinite(native))[0].tolist()
        raise BadRequest(f"{where}{place}: expected a finite number, got {native[tuple(place)]}")
    return torch.from_numpy(native).to(device())


def _csv(text: str) -> NDArray[np.float32]:
    """Read CSV as NumPy does: one line gives one dimension, several give two."""
    if not text.strip():
        raise BadRequest("body: expected lines of numbers, got nothing")
    try:
        with np.errstate(over="ignore"):
            return np.loadtxt(io.StringIO(text), dtype=np.float32, delimiter=",", comments=None)
    except ValueError:
        raise BadRequest(next(_csv_faults(text))) from None


def _csv_faults(text: str) -> Iterator[str]:
    """Yield a sentence for each fault, with the line's number in the body, blank lines included."""
    width = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.split(",")
        width = width or len(fields)
        if len(fields) != width:
            yield f"body: line {number}: expected {width} numbers, as in the first, got {len(fields)}"
        for place, value in enumerate(fields, start=1):
            if not _is_number(value):
                yield f"body: line {number}, field {place}: expected a number, got {value.strip()[:_SHOWN]!r}"
    yield "body: expected lines of numbers"


def _is_number(text: str) -> bool:
    """Return whether NumPy reads the text as a number: ASCII digits, without _ and quotes."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
