"""Encode NumPy arrays and anything like them into an answer's body."""

import io
import json
from typing import Any

import numpy as np

from . import content_types, errors

SUPPORTED_CONTENT_TYPES = {content_types.JSON, content_types.CSV, content_types.NPY}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """Encode `array_like` as JSON or CSV text, or as the bytes of a .npy file.

    Raises UnsupportedFormatError for another type.
    """
    if content_type == content_types.JSON:
        return json.dumps(array_like, default=_to_json_value)
    if content_type == content_types.CSV:
        text = io.StringIO()
        np.savetxt(text, array_like, delimiter=",", fmt="%s")
        return text.getvalue()
    if content_type == content_types.NPY:
        file = io.BytesIO()
        np.save(file, array_like, allow_pickle=False)
        return file.getvalue()
    raise errors.UnsupportedFormatError(content_type)


def _to_json_value(value: Any) -> Any:
    """Convert arrays, tensors and NumPy's numbers for json.dumps."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
