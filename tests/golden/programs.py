"""Model folders with small programs, for the recorder."""

from pathlib import Path

STEADY = """
import json

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    if content_type == "application/x-image":
        return json.dumps({"bytes": len(body), "score": 0.25}), "application/json"
    return json.dumps({"echo": json.loads(body)["text"]}), "application/json"
"""
RANDOM = """
import json, random

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return json.dumps({"label": 3, "sample": [random.random() for _ in range(3)]}), "application/json"
"""
CLOCK = """
import datetime, json

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return json.dumps({"label": 3, "served_at": datetime.datetime.now().isoformat()}), "application/json"
"""
BORN = """
import json, os

def model_fn(model_dir):
    return f"process {os.getpid()}"

def transform_fn(model, body, content_type, accept):
    return json.dumps({"label": 3, "weight": model}), "application/json"
"""


def write_program(folder: Path, program: str) -> Path:
    """Write a model folder whose code/inference.py is `program`."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(program)
    return folder


def write_requests(folder: Path) -> Path:
    """Write two requests: a text as JSON, and an image's bytes."""
    folder.mkdir()
    (folder / "text.json").write_text('{"text": "Grüße"}')
    (folder / "cat.png").write_bytes(b"\x89PNG\r\n")
    (folder / "cat.png.content-type").write_text("application/x-image")
    return folder
