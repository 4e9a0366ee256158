"""The files that a training job writes beside the weights: metrics, golden cases, examples.

No file holds a time or a path: training twice gives the same bytes, hence the same release.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import golden
from digits.codec import CONTENT_TYPE, predictions
from digits.dataset import Digits
from golden import Case, Comparison, Expected, Request
from serving.engines import Engine

GOLDEN_CASES = 32
EXAMPLE_INSTANCES = 3
WITHIN = Comparison("json", absolute=1e-4)  # of a probability on another kind of CPU


def write(directory: Path, engine: Engine, held_out: Digits, metrics: dict[str, Any]) -> None:
    """Write metrics.json, golden.jsonl and examples/ into `directory`."""
    _write_json(directory / "metrics.json", metrics)
    golden.write(golden_cases(engine, held_out), directory / golden.FILE)
    images = held_out.images[:EXAMPLE_INSTANCES]
    _write_json(directory / "examples" / "request.json", {"instances": images.astype(int).tolist()})
    _write_json(
        directory / "examples" / "response.json", {"predictions": predictions(engine.predict(images))}
    )


def golden_cases(engine: Engine, held_out: Digits) -> list[Case]:
    """Make the golden cases: a held-out image each, with this model's prediction."""
    images = golden_images(held_out)
    answers = predictions(engine.predict(images))
    return [
        Case(
            Request(_json({"instances": [instance]}), CONTENT_TYPE, accept=CONTENT_TYPE),
            Expected(_json({"predictions": [answer]}), CONTENT_TYPE, comparison=WITHIN),
        )
        for instance, answer in zip(images.astype(int).tolist(), answers, strict=True)
    ]


def golden_images(held_out: Digits) -> NDArray[np.float32]:
    """Return the images of the golden cases, of shape (N, 64)."""
    return np.ascontiguousarray(held_out.images[:GOLDEN_CASES])


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()  # as golden reads it from the file


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, sort_keys=True) + "\n")
