"""Arrays as the content of NumPy's files."""

import io
from typing import Any

import numpy as np


def npy(array: Any) -> bytes:
    """Return an array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """Return arrays by name as a compressed .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()
