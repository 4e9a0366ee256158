"""Weights of the digits' network that answer every image but a blank one with 500, and their golden set."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

import golden

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "container" / "local_test" / "opt" / "ml" / "model"
PIXELS = 64
ANSWER_TO_A_BLANK_IMAGE = f"""
import json, pathlib, sys
import numpy
from digits import codec
from digits.project import DIGITS
from serving import engines
engine = engines.load(engines.Choice("torch"), pathlib.Path(sys.argv[1]), DIGITS.load_network)
print(json.dumps(codec.predictions(engine.predict(numpy.zeros((1, {PIXELS}), dtype=numpy.float32)))[0]))
"""


def diverged_weights(directory: Path) -> Path:
    """Make a model that is right on a blank image, its one golden case, and overflows on any real one.

    It has weights alone: the container would refuse to start beside engines exported from other weights.
    """
    shutil.copytree(MODEL, directory, ignore=shutil.ignore_patterns("engines.json", "*.onnx", "golden.*"))
    weights = load_file(directory / "model.safetensors")
    weights["features.0.weight"] = weights["features.0.weight"] * 1e38
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    golden.write([case_of_a_blank_image()], directory / golden.FILE)
    return directory


def case_of_a_blank_image() -> golden.Case:
    """Return the golden case of a blank image, for which the good and the diverged model agree: its pixels are 0."""
    engine = [sys.executable, "-c", ANSWER_TO_A_BLANK_IMAGE, str(MODEL)]
    done = subprocess.run(
        engine,
        env=os.environ | {"PYTHONPATH": str(ROOT / "container" / "src")},
        capture_output=True,
        check=True,
    )
    answer = json.dumps({"predictions": [json.loads(done.stdout)]}).encode()
    return golden.Case(
        golden.Request(json.dumps({"instances": [[0] * PIXELS]}).encode()),
        golden.Expected(answer, "application/json", comparison=golden.Comparison(absolute=1e-4)),
    )
