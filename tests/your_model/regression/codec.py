"""Decode requests into rows of ten numbers, and encode predictions into answers."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.handlers import arrays, media
from serving.handlers.errors import BadPrediction, BadRequest

CONTENT_TYPE = media.JSON
FEATURES = 10
MAX_INSTANCES = 4096


def decode(body: bytes, content_type: str = CONTENT_TYPE) -> NDArray[np.float32]:
    """Turn the body of an invocation into rows, float32 of shape (N, 10), 1 <= N <= MAX_INSTANCES.

    JSON is {"instances": [[10 numbers], ...]}; CSV has a row a line. Raises BadRequest (HTTP 400) with one sentence,
    and with HTTP 415 for another content type.
    """
    kind = media.essence(content_type) or media.JSON
    if kind == media.JSON:
        return _rows(_instances(body))
    if kind == media.CSV:
        return _rows([line.split(",") for line in body.decode(errors="replace").splitlines() if line.strip()])
    raise media.unsupported(content_type)


def blank() -> NDArray[np.float32]:
    """Return one valid instance, shape (1, 10), for the first prediction."""
    return np.zeros((1, FEATURES), dtype=np.float32)


def predictions(values: NDArray[np.float32]) -> list[float]:
    """Turn the network's output (N, 1) into numbers. Raises BadPrediction for one that is not finite."""
    if not np.isfinite(values).all():
        raise BadPrediction("predictions: expected finite numbers")
    return [round(float(value), 6) for value in values[:, 0]]


def encode(values: NDArray[np.float32], media_type: str = CONTENT_TYPE) -> bytes:
    """Encode a number for each instance, in order, in one of `media.ALL`."""
    found = predictions(values)
    if media_type == media.JSON:
        return json.dumps({"predictions": found}).encode()
    if media_type in (media.CSV, media.JSON_LINES):
        return "".join(f"{value}\n" for value in found).encode()
    return arrays.to_npy(values) if media_type == media.NPY else arrays.to_npz({"predictions": values})


def _instances(body: bytes) -> Any:
    try:
        return json.loads(body)["instances"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequest('body: expected {"instances": [[10 numbers], ...]}') from None


def _rows(instances: Any) -> NDArray[np.float32]:
    try:
        rows = np.array(instances, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise BadRequest(f"instances: expected rows of {FEATURES} numbers") from None
    if rows.ndim != 2 or rows.shape[1] != FEATURES or not 1 <= len(rows) <= MAX_INSTANCES:
        raise BadRequest(f"instances: expected shape (N, {FEATURES}), got {rows.shape[:4]}")
    if not np.isfinite(rows).all():
        raise BadRequest("instances: expected finite numbers")
    return rows
