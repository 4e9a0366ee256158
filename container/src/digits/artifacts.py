"""The files that a training job writes beside the weights: metrics, golden cases, examples.

No file holds a time or a path: training twice gives the same bytes, hence the same release.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.codec import CONTENT_TYPE, predictions
from digits.dataset import Digits
from serving.engines import Engine
from serving.engines.golden import FILE as GOLDEN

GOLDEN_CASES = 32
EXAMPLE_INSTANCES = 3
TOLERANCE = 1e-4  # of a probability on another kind of CPU


def write(directory: Path, engine: Engine, held_out: Digits, metrics: dict[str, Any]) -> None:
    """Write metrics.json, golden.json and examples/ into `directory`."""
    _write_json(directory / "metrics.json", metrics)
    _write_json(directory / GOLDEN, golden(engine, held_out))
    images = held_out.images[:EXAMPLE_INSTANCES]
    _write_json(directory / "examples" / "request.json", {"instances": images.astype(int).tolist()})
    _write_json(
        directory / "examples" / "response.json", {"predictions": predictions(engine.predict(images))}
    )


def golden(engine: Engine, held_out: Digits) -> dict[str, Any]:
    """Make the golden cases: held-out images with this model's predictions."""
    images = golden_images(held_out)
    answers = predictions(engine.predict(images))
    cases = [
        {"instance": instance, "prediction": answer}
        for instance, answer in zip(images.astype(int).tolist(), answers, strict=True)
    ]
    return {"schema": 1, "content_type": CONTENT_TYPE, "tolerance": TOLERANCE, "cases": cases}


def golden_images(held_out: Digits) -> NDArray[np.float32]:
    """Return the images of the golden cases, of shape (N, 64)."""
    return np.ascontiguousarray(held_out.images[:GOLDEN_CASES])


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, sort_keys=True) + "\n")
