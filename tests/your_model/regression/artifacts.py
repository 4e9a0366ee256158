"""The files that a training job writes beside the weights: metrics and golden cases."""

import json
from pathlib import Path
from typing import Any

import golden
from digits.codec import CONTENT_TYPE, predictions
from digits.dataset import Numbers
from golden import Case, Comparison, Expected, Request
from serving.engines import Engine

GOLDEN_CASES = 32
WITHIN = Comparison("json", absolute=1e-4, relative=1e-4)


def write(directory: Path, engine: Engine, held_out: Numbers, metrics: dict[str, Any]) -> None:
    """Write metrics.json and golden.jsonl into `directory`."""
    (directory / "metrics.json").write_text(json.dumps(metrics, sort_keys=True) + "\n")
    rows = held_out.rows[:GOLDEN_CASES]
    answers = predictions(engine.predict(rows))
    golden.write(
        [
            Case(
                Request(json.dumps({"instances": [row]}).encode(), CONTENT_TYPE),
                Expected(json.dumps({"predictions": [answer]}).encode(), CONTENT_TYPE, comparison=WITHIN),
            )
            for row, answer in zip(rows.tolist(), answers, strict=True)
        ],
        directory / golden.FILE,
    )
