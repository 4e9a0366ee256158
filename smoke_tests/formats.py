"""Encoders of requests and decoders of answers, by media type."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

Instances = Sequence[Sequence[float]]
Predictions = list[dict[str, Any]]

JSON = "application/json"
_Format = TypeVar("_Format")


def _json(instances: Instances) -> bytes:
    return json.dumps({"instances": list(instances)}).encode()


def _json_lines(instances: Instances) -> bytes:
    return "".join(json.dumps(instance) + "\n" for instance in instances).encode()


def _csv(instances: Instances) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(instances)
    return text.getvalue().encode()


def _npy(instances: Instances) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(instances, dtype=np.float32))
    return file.getvalue()


def _npz(instances: Instances) -> bytes:
    file = io.BytesIO()
    np.savez(file, instances=np.array(instances, dtype=np.float32))
    return file.getvalue()


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


_ENCODE: dict[str, Callable[[Instances], bytes]] = {
    JSON: _json,
    "application/jsonlines": _json_lines,
    "text/csv": _csv,
    "application/x-npy": _npy,
    "application/x-npz": _npz,
}

_DECODE: dict[str, Callable[[bytes], Predictions]] = {
    JSON: _from_json,
    "application/jsonlines": _from_json_lines,
    "text/csv": _from_csv,
    "application/x-npy": _from_npy,
    "application/x-npz": _from_npz,
}


def encode(instances: Instances, media_type: str) -> bytes:
    """Encode instances, shape (N, pixels). Raises LookupError for a media type without an encoder."""
    return _lookup(_ENCODE, media_type)(instances)


def decode(body: bytes, media_type: str) -> Predictions:
    """Read N predictions, each a label and its probabilities. Raises LookupError as `encode` does."""
    return _lookup(_DECODE, media_type)(body)


def _lookup(table: dict[str, _Format], media_type: str) -> _Format:
    try:
        return table[media_type]
    except KeyError:
        raise LookupError(
            f"the release declares {media_type}, for which smoke_tests/formats.py has no entry: add it there"
        ) from None
