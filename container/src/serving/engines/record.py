"""engines.json in the model archive: the exported files, each engine's agreement, and the choice.

    {"schema": 1,
     "request_response": "<16 hex>",             # digest of the JSON Schema that it was exported with
     "files": {"model.safetensors": "<sha256>", "model.onnx": "<sha256>"},
     "exported_with": {"torch": "2.13.0+cpu", "opset": "20"},
     "input": {"dtype": "float32", "shape": [64]},      # of one instance
     "precision": "fp32",                        # of ENGINE=auto, unless ENGINE_PRECISION asks for less
     "limits": {"fp32": {"maximum_difference": 1e-4, "top1_agreement": 1.0}, "bf16": …},
     "engines": [{"engine": "onnxruntime", "precision": "fp32", "version": "1.32.0",
                  "maximum_difference": 2e-07, "top1_agreement": 1.0, "within": true}, …],
     "auto": {"fp32": {"engine": "onnxruntime", "precision": "fp32"}, "bf16": …},   # by allowed precision
     "measured_on": "AMD EPYC …"}                # the processor

The pipeline compares `request_response` and `engines[].version` with the image's labels, which
`container/build` sets. The file holds no time: exporting twice gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.engines import FP32, Choice
from serving.engines.agreement import Limit

FILE = "engines.json"
SCHEMA = 1


class BadArchive(Exception):
    """Model files that differ from engines.json; the text says which and how."""


@dataclass(frozen=True)
class Parity:
    """An engine's agreement with PyTorch on the golden cases when the model was exported."""

    engine: str
    precision: str
    version: str
    maximum_difference: float
    top1_agreement: float
    within: bool  # within the limits of its precision


@dataclass(frozen=True)
class Input:
    """One instance: `dtype` as NumPy names it, `shape` without the batch."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Record:
    """The content of engines.json, as shown above."""

    request_response: str
    files: Mapping[str, str]
    exported_with: Mapping[str, str]
    input: Input
    precision: str
    limits: Mapping[str, Limit]
    engines: tuple[Parity, ...]
    auto: Mapping[str, Choice]
    measured_on: str
    schema: int = SCHEMA

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def write(record: Record, model_dir: Path) -> None:
    """Write engines.json into `model_dir`."""
    (model_dir / FILE).write_text(record.text())


def read(model_dir: Path) -> Record | None:
    """Read engines.json in `model_dir`; None if there is none. Raises BadArchive for an invalid one."""
    path = model_dir / FILE
    if not path.is_file():
        return None
    try:
        return _record(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadArchive(
            f"{path}: expected a record of schema {SCHEMA}, got a faulty one ({type(error).__name__}: {error}); "
            "export the model again"
        ) from None


def verify(record: Record, model_dir: Path) -> None:
    """Compare every recorded file with its checksum. Raises BadArchive for the first that differs."""
    for name, expected in record.files.items():
        path = model_dir / name
        if not path.is_file():
            raise BadArchive(f"{path}: there is no such file, but {FILE} lists it; the archive is incomplete")
        got = sha256(path)
        if got != expected:
            raise BadArchive(
                f"{path}: expected sha256 {expected[:12]}…, as {FILE} says, got {got[:12]}…; the file is "
                "corrupt, or of another model: fetch the archive again, or export this model anew"
            )


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(content: dict[str, Any]) -> Record:
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']}")
    unlimited = {FP32, *(one["precision"] for one in content["engines"])} - content["limits"].keys()
    if unlimited:
        raise ValueError(f"no limits for {', '.join(sorted(unlimited))}")
    return Record(
        request_response=str(content["request_response"]),
        files={str(name): str(digest) for name, digest in content["files"].items()},
        exported_with=dict(content["exported_with"]),
        input=Input(str(content["input"]["dtype"]), tuple(map(int, content["input"]["shape"]))),
        precision=str(content["precision"]),
        limits={str(name): Limit(**limit) for name, limit in content["limits"].items()},
        engines=tuple(Parity(**parity) for parity in content["engines"]),
        auto={str(name): Choice(**pair) for name, pair in content["auto"].items()},
        measured_on=str(content["measured_on"]),
    )
