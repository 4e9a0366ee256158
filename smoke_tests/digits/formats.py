"""Decoders of the digits' predictions, by media type."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np

Predictions = list[dict[str, Any]]


def _from_json(body: bytes) -> Predictions:
    predictions: Predictions = json.loads(body)["predictions"]
    return predictions


def _from_json_lines(body: bytes) -> Predictions:
    return [json.loads(line) for line in body.splitlines()]


def _from_csv(body: bytes) -> Predictions:
    rows = csv.reader(io.StringIO(body.decode()))
    return [{"label": int(row[0]), "probabilities": [float(field) for field in row[1:]]} for row in rows]


def _from_npy(body: bytes) -> Predictions:
    probabilities = np.load(io.BytesIO(body), allow_pickle=False)
    return [{"label": int(row.argmax()), "probabilities": row.tolist()} for row in probabilities]


def _from_npz(body: bytes) -> Predictions:
    arrays = np.load(io.BytesIO(body), allow_pickle=False)
    pairs = zip(arrays["labels"], arrays["probabilities"], strict=True)
    return [{"label": int(label), "probabilities": row.tolist()} for label, row in pairs]


_DECODE: dict[str, Callable[[bytes], Predictions]] = {
    "application/json": _from_json,
    "application/jsonlines": _from_json_lines,
    "text/csv": _from_csv,
    "application/x-npy": _from_npy,
    "application/x-npz": _from_npz,
}


def decode(body: bytes, media_type: str) -> Predictions:
    """Read N predictions, each a label and its probabilities. Raises LookupError for an unknown media type."""
    try:
        return _DECODE[media_type](body)
    except KeyError:
        raise LookupError(
            f"the release declares {media_type}, for which smoke_tests/digits/formats.py has no decoder: add it there"
        ) from None
