"""A program that exits ends its own request, or its own start: never the container, and never for ever."""

import json
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.container import archives
from tests.container.serve_process import JSON, Serve, until

pytestmark = pytest.mark.starts_processes
Start = Callable[..., Serve]
ONE_FRONT = pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
NGINX = pytest.mark.parametrize("start", ["nginx"], indirect=True)
EXITS = """
import asyncio
import json
import os

def model_fn(d):
    return d

def transform_fn(directory, body, content_type, accept):
    kind, _, code = json.loads(body).partition(" ")
    if kind == "exit":
        raise SystemExit(int(code))
    if kind == "_exit":
        os._exit(int(code))
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "cancel":
        raise asyncio.CancelledError
    return str(os.getpid())
"""


def serving(start: Start, tmp_path: Path, source: str, workers: int = 1) -> Serve:
    archives.program(tmp_path / "model", source)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=str(workers))
    serve.await_ready()
    return serve


def status(serve: Serve, body: str) -> int:
    """Return the answer's status; 0 if the connection breaks off."""
    try:
        return serve.ask("POST", "/invocations", json.dumps(body), JSON).status
    except (OSError, HTTPException):
        return 0


def process(serve: Serve) -> bytes:
    return serve.ask("POST", "/invocations", '"who"', JSON).body


def test_what_would_end_a_process_is_an_error_of_its_request_and_the_worker_goes_on(
    start: Start, tmp_path: Path
) -> None:
    serve = serving(start, tmp_path, EXITS)
    worker = process(serve)

    asked = [status(serve, body) for body in ("exit 0", "exit 3", "interrupt", "cancel")]

    assert asked == [500] * 4
    assert process(serve) == worker
    assert serve.ask("GET", "/ping").status == 200


@pytest.mark.parametrize("code", [0, 3, 4])
def test_a_request_that_ends_its_process_costs_its_worker_and_not_the_container(
    start: Start, tmp_path: Path, code: int
) -> None:
    """Gunicorn reads the exit codes 3 and 4 as a start that failed. Without nginx nobody is left to answer."""
    serve = serving(start, tmp_path, EXITS)
    worker = process(serve)

    ended = status(serve, f"_exit {code}")

    assert ended == (500 if "nginx before" in serve.log() else 0)
    assert until(lambda: status(serve, "who") == 200, 20), "another worker takes its place"
    assert process(serve) != worker
    assert until(lambda: serve.ask("GET", "/ping").status == 200)
    assert serve.process.poll() is None


@ONE_FRONT
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import sys\nsys.exit(2)", "serve: inference.py: SystemExit: 2"),
        ("def model_fn(d): raise KeyboardInterrupt", "serve: inference.py: KeyboardInterrupt"),
        ("import os\nos._exit(0)", "serve: a worker ended while it loaded the model"),
        ("import os\ndef model_fn(d): os._exit(3)", "serve: a worker ended while it loaded the model"),
        (
            "import ctypes\ndef model_fn(d): ctypes.string_at(0)",
            "serve: a worker ended while it loaded the model",
        ),
    ],
)
def test_a_start_that_ends_its_process_ends_the_container_with_the_reason(
    start: Start, tmp_path: Path, source: str, says: str
) -> None:
    archives.program(tmp_path / "model", source)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")

    assert serve.process.wait(60) == 1
    assert serve.log().count(says) == 1, serve.log()
    if "ctypes" in source:
        assert "SIGSEGV" in serve.log()
        assert "in model_fn" in serve.log(), "Python says where"


SOMETIMES = """
import os

def model_fn(directory):
    if os.path.exists(os.path.join(directory, "spoiled")):
        with open(os.path.join(directory, "tries"), "a") as tries:
            tries.write(".")
        os._exit(9)
    return directory

def transform_fn(directory, body, content_type, accept):
    os._exit(1)
"""


@ONE_FRONT
def test_a_worker_that_cannot_be_replaced_is_tried_three_times(start: Start, tmp_path: Path) -> None:
    serve = serving(start, tmp_path, SOMETIMES)
    (tmp_path / "model" / "spoiled").touch()

    status(serve, "end")

    assert serve.process.wait(60) == 1
    assert (tmp_path / "model" / "tries").read_text() == "..."
    assert serve.log().count("serve: a worker ended while it loaded the model") == 1


SLOW_START = """
import os
import time

def model_fn(directory):
    try:
        os.close(os.open(os.path.join(directory, "first"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        deadline = time.monotonic() + 30
        while not os.path.exists(os.path.join(directory, "go-on")) and time.monotonic() < deadline:
            time.sleep(0.01)
    return directory

def transform_fn(directory, body, content_type, accept):
    return "ok"
"""


@ONE_FRONT
def test_ping_and_the_log_wait_for_every_workers_model(start: Start, tmp_path: Path) -> None:
    archives.program(tmp_path / "model", SLOW_START)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")
    assert until(lambda: status(serve, "any") == 200, 30), "one worker has its model"

    early, log = serve.ask("GET", "/ping"), serve.log()
    (tmp_path / "model" / "go-on").touch()
    serve.await_ready()

    assert (early.status, list(early.json())) == (503, ["error"])
    assert "serve: the model is loaded" not in log
    assert until(lambda: serve.log().count("serve: the model is loaded\n") == 1)
