"""Decode a request's body into NumPy."""

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import content_types, errors


def decode(obj: str | bytes, content_type: str) -> Any:
    """Decode an array from JSON, CSV (with a type for each column) or .npy, or a SciPy sparse matrix from .npz.

    Raises UnsupportedFormatError for another type, and ValueError for a body that is not in its format or
    has pickled objects: a request must not be able to run code.
    """
    if content_type == content_types.JSON:
        return np.array(json.loads(obj))
    if content_type == content_types.CSV:
        return _from_csv(obj)
    if content_type == content_types.NPY:
        return np.load(io.BytesIO(_bytes(obj)), allow_pickle=False)
    if content_type == content_types.NPZ:
        return _sparse(_bytes(obj))
    raise errors.UnsupportedFormatError(content_type)


def _from_csv(text: str | bytes) -> NDArray[Any]:
    lines = io.StringIO(text if isinstance(text, str) else text.decode())
    array: NDArray[Any] = np.genfromtxt(lines, dtype=None, delimiter=",", encoding="utf-8")
    return array


def _sparse(data: bytes) -> Any:
    try:
        from scipy.sparse import load_npz  # type: ignore[import-untyped]  # not in the image by itself
    except ImportError as error:
        raise ImportError(
            "a body in application/x-npz is a SciPy sparse matrix: add scipy to code/requirements.txt"
        ) from error
    return load_npz(io.BytesIO(data))


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
