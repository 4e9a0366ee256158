"""Train, serve and predict with three commands and no AWS."""

import gzip
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.serving import CONTAINER, ask, free_port, until

LOCAL_TEST = CONTAINER / "local_test"
PAYLOADS = LOCAL_TEST / "payloads"


def test_the_committed_data_are_scikit_learns() -> None:
    prepare = runpy.run_path(str(LOCAL_TEST / "prepare_data.py"))
    committed = (LOCAL_TEST / "opt/ml/input/data/training/digits.csv.gz").read_bytes()

    assert gzip.decompress(committed).decode() == prepare["lines"]()
    assert prepare["compressed"]("x") == prepare["compressed"]("x")
    assert committed[4:8] == bytes(4)  # no time in the header


def test_train_local_trains_in_the_tree_beside_it(tmp_path: Path) -> None:
    copy = tmp_path / "container"
    shutil.copytree(CONTAINER, copy, ignore=shutil.ignore_patterns("model", "__pycache__"))
    settings = copy / "local_test/opt/ml/input/config/hyperparameters.json"
    settings.write_text('{"epochs": "1"}')

    done = subprocess.run(
        [copy / "local_test" / "train_local.sh"], capture_output=True, text=True, env=environ()
    )

    assert done.returncode == 0, done.stderr
    assert (copy / "local_test/opt/ml/model/model.safetensors").is_file()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port on which serve_local.sh serves."""
    port = free_port()
    process = subprocess.Popen(
        [LOCAL_TEST / "serve_local.sh"], env=environ(PORT=str(port)), stdout=subprocess.DEVNULL
    )
    assert until(lambda: answers(port), 30)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping").status == 200
    except OSError:
        return False


def environ(**more: str) -> dict[str, str]:
    """This environment, with the Python of these tests."""
    return {**os.environ, "PYTHON": sys.executable, **more}


def predict(port: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LOCAL_TEST / "predict.sh", *arguments], env=environ(PORT=str(port)), capture_output=True, text=True
    )


def test_predict_prints_the_answer_to_its_example(port: int) -> None:
    expected = json.loads((LOCAL_TEST / "opt/ml/model/examples/response.json").read_text())

    answer = json.loads(predict(port).stdout)

    labels = [prediction["label"] for prediction in expected["predictions"]]
    assert [prediction["label"] for prediction in answer["predictions"]] == labels


@pytest.mark.parametrize("payload", sorted(PAYLOADS.iterdir()), ids=lambda path: path.stem)
def test_every_payload_gets_what_its_name_promises(port: int, payload: Path) -> None:
    done = predict(port, payload)

    if payload.name.startswith("bad-"):
        assert done.returncode == 1
        assert done.stderr.startswith('HTTP 400: {"error": "')
    else:
        assert done.returncode == 0
        assert json.loads(done.stdout)["predictions"]


def test_predict_says_when_nobody_serves() -> None:
    done = predict(free_port())

    assert done.returncode == 1
    assert "is serve_local.sh running?" in done.stderr
