"""A user's program that takes batches, behind the whole of `serve`, and what its one thread lets it do."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from tests.container import archives
from tests.container.serve_process import JSON, Serve

pytestmark = pytest.mark.starts_processes
Start = Callable[..., Serve]
CALLERS = 24
PROGRAM = """
import json
import time
import torch

def model_fn(d): return torch.tensor([[2.0], [1.0]])
def input_fn(body, content_type): return torch.tensor(json.loads(body), dtype=torch.float32)
def predict_fn(data, model):
    time.sleep(0.02)  # so that others arrive meanwhile
    return PREDICTION
def output_fn(prediction, accept): return json.dumps(prediction.tolist())
"""


def archive(directory: Path, prediction: str, *answers: list[list[float]]) -> Path:
    """Write a program with two golden requests, which each alone have these answers."""
    archives.program(directory, PROGRAM.replace("PREDICTION", prediction))
    cases = [
        Case(
            Request(json.dumps(instances).encode()),
            Expected(json.dumps(answer).encode(), comparison=Comparison("json", 1e-4)),
        )
        for instances, answer in zip(([[1, 2]], [[3, 5], [7, 1]]), answers, strict=True)
    ]
    golden.write(cases, directory / golden.FILE)
    return directory


def ask_all(serve: Serve, requests: list[list[list[int]]]) -> list[object]:
    """Ask from many threads at once; return the answers in the requests' order."""
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(
            pool.map(lambda each: serve.ask("POST", "/invocations", json.dumps(each), JSON), requests)
        )
    assert {answer.status for answer in answers} == {200}
    return [answer.json() for answer in answers]


def metric(serve: Serve, name: str) -> float:
    lines = serve.ask("GET", "/metrics").body.decode().splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))


def requests(count: int) -> list[list[list[int]]]:
    chance = random.Random(1)
    return [
        [[chance.randrange(100), chance.randrange(100)] for _ in range(chance.randint(1, 3))]
        for _ in range(count)
    ]


def test_concurrent_callers_share_batches_and_each_gets_its_own_answer(start: Start, tmp_path: Path) -> None:
    archive(tmp_path / "model", "data @ model", [[4.0]], [[11.0], [15.0]])
    serve = start(
        SAGEMAKER_BASE_DIR=str(tmp_path),
        SAGEMAKER_MODEL_SERVER_WORKERS="2",
        SAGEMAKER_TS_BATCH_SIZE="16",
    )
    serve.await_ready()
    asked = requests(240)

    answers = ask_all(serve, asked)

    assert answers == [[[2 * left + right] for left, right in instances] for instances in asked]
    batches, predicted = (metric(serve, f"predicted_batch_requests_{name}") for name in ("count", "sum"))
    assert predicted == 240
    assert batches <= 120, "two requests a batch in the mean, at the least"
    assert serve.log().count("serve: batching is on, up to 16 rows: 2 golden requests") == 1


def test_a_program_that_answers_otherwise_in_batches_is_served_without_them(
    start: Start, tmp_path: Path
) -> None:
    archive(tmp_path / "model", "data @ model - (data @ model).mean(0)", [[0.0]], [[-2.0], [2.0]])
    serve = start(
        SAGEMAKER_BASE_DIR=str(tmp_path),
        SAGEMAKER_MODEL_SERVER_WORKERS="2",
        SAGEMAKER_TS_BATCH_SIZE="16",
    )
    serve.await_ready()

    answers = ask_all(serve, [[[number, 1]] for number in range(48)])

    assert answers == [[[0.0]]] * 48
    assert metric(serve, 'predicted_batch_requests_bucket{le="1"}') == 48
    assert serve.log().count("serve: batching is off: golden case 0 is answered otherwise") == 1


ONE_THREAD = """
import signal
import sqlite3
import threading
import time

import numpy as np
import torch

torch.set_grad_enabled(False)
np.seterr(divide="raise")
here = threading.local()
here.value = "import"
database = sqlite3.connect(":memory:")

def model_fn(d):
    here.value += " model_fn"
    return torch.nn.Linear(2, 1)

def ring(number, frame):
    raise TimeoutError("too slow")

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        time.sleep(20)
        alarm = "none"
    except TimeoutError as error:
        alarm = str(error)
    try:
        divided = float(np.ones(1) / np.zeros(1))
    except FloatingPointError:
        divided = "raised"
    grad = model(torch.ones(1, 2)).requires_grad
    return [here.value, alarm, divided, grad, database.execute("select 7").fetchone()[0]]

def output_fn(prediction, accept):
    return prediction
"""


def test_import_model_fn_and_every_request_run_on_one_thread_the_main_one(
    start: Start, tmp_path: Path
) -> None:
    archives.program(tmp_path / "model", ONE_THREAD)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()

    with ThreadPoolExecutor(6) as pool:
        answers = [
            future.result()
            for future in [pool.submit(serve.ask, "POST", "/invocations", "[]", JSON) for _ in range(6)]
        ]

    assert [answer.json() for answer in answers] == [["import model_fn", "too slow", "raised", False, 7]] * 6


EXITS = """
import asyncio
import os
import sys

def model_fn(d): return d
def transform_fn(model, body, content_type, accept):
    if body == "exit": sys.exit(3)
    if body == "cancel": raise asyncio.CancelledError
    if body == "interrupt": raise KeyboardInterrupt
    return str(os.getpid())
"""


def test_a_request_that_exits_ends_itself_alone(start: Start, tmp_path: Path) -> None:
    archives.program(tmp_path / "model", EXITS)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()
    text = {"Content-Type": "text/csv"}
    before = serve.ask("POST", "/invocations", "who", text).body

    ended = [serve.ask("POST", "/invocations", name, text) for name in ("exit", "cancel", "interrupt")]

    assert [answer.status for answer in ended] == [500] * 3
    assert ended[0].json() == {"error": "SystemExit: 3"}
    assert serve.ask("POST", "/invocations", "who", text).body == before, "by the same process"
    assert serve.ask("GET", "/ping").status == 200
