"""The golden cases of a model with this project's API: rows of numbers, and a prediction for each."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np

import golden
from golden.cases import JSON
from smoke_tests.openapi import ApiDescription

Instances = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Rows:
    """`instances[i]` must be answered with `predictions[i]`, compared as the golden set says."""

    instances: tuple[list[float], ...]
    predictions: tuple[Any, ...]
    comparison: golden.Comparison

    def case(self, content_type: str = JSON, accept: str = JSON) -> golden.Case:
        """Return one case of all instances; its answer is that in JSON, whatever `accept` is."""
        request = golden.Request(encode(self.instances, content_type), content_type, accept)
        answer = json.dumps({"predictions": self.predictions}).encode()
        return golden.Case(request, golden.Expected(answer, JSON, comparison=self.comparison))


def read_rows(golden_set: golden.GoldenSet, api: ApiDescription) -> Rows | None:
    """Collect the instances of the golden cases whose request is as the API description says; None: there are none."""
    document = {"$ref": "#/components/schemas/Request", "components": api.document["components"]}
    valid = jsonschema.Draft202012Validator(document)
    instances: list[list[float]] = []
    predictions: list[Any] = []
    found = [case for case in golden_set.answered if _is_json(case) and valid.is_valid(_sent(case))]
    for case in found:
        instances += _sent(case)["instances"]
        predictions += case.expected.document["predictions"]
    if not found or len(instances) != len(predictions):
        return None
    return Rows(tuple(instances), tuple(predictions), found[0].expected.comparison)


def encode(instances: Instances, media_type: str) -> bytes:
    """Encode rows of numbers. Raises LookupError for a media type without an encoder."""
    try:
        return _ENCODE[media_type](instances)
    except KeyError:
        raise LookupError(
            f"the release declares {media_type}, for which smoke_tests/rows.py has no encoder: add it there"
        ) from None


def read_json_lines(body: bytes) -> bytes:
    """Return an answer of one JSON value a line as the answer in JSON."""
    lines: Iterable[bytes] = (line for line in body.splitlines() if line.strip())
    return json.dumps({"predictions": [json.loads(line) for line in lines]}).encode()


def _is_json(case: golden.Case) -> bool:
    request, expected = case.request, case.expected
    if request.is_stream or request.content_type.partition(";")[0].strip() != JSON or expected.body is None:
        return False
    try:
        return isinstance(expected.document.get("predictions"), list)
    except (ValueError, AttributeError):
        return False


def _sent(case: golden.Case) -> Any:
    try:
        return json.loads(case.request.body)
    except ValueError:
        return None


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


_ENCODE: dict[str, Callable[[Instances], bytes]] = {
    JSON: _json,
    "application/jsonlines": _json_lines,
    "text/csv": _csv,
    "application/x-npy": _npy,
    "application/x-npz": _npz,
}
