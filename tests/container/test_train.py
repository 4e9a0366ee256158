"""`train` keeps SageMaker's training contract, and the same seed gives the same release."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file

import golden
from digits.dataset import BadData, read, split
from digits.handler import DigitsHandler
from digits.hyperparameters import BadHyperparameter, Hyperparameters, parse
from digits.model import load
from digits.project import load_network
from digits.training import fit, shifted
from serving.engines import ModelProblem, pytorch
from tests.container.serve_process import COMMITTED, CONTAINER, until

DATA = Path("input/data/training/digits.csv.gz")
SETTINGS = Path("input/config/hyperparameters.json")
QUICK = {"epochs": "1"}


def tree(root: Path, hyperparameters: Any = None, data: bytes | None = None) -> Path:
    """Make an /opt/ml to train in; by default with the committed data."""
    (root / DATA).parent.mkdir(parents=True)
    if data is None:
        shutil.copy(COMMITTED / DATA, root / DATA)
    else:
        (root / DATA).write_bytes(data)
    if hyperparameters is not None:
        (root / SETTINGS).parent.mkdir(parents=True)
        (root / SETTINGS).write_text(json.dumps(hyperparameters))
    return root


def command(base: Path) -> tuple[list[str | Path], Mapping[str, str]]:
    return [sys.executable, CONTAINER / "src" / "train"], {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}


def train(base: Path) -> subprocess.CompletedProcess[str]:
    arguments, environ = command(base)
    return subprocess.run(arguments, env=environ, cwd="/", capture_output=True, text=True)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def failure(base: Path) -> str:
    return (base / "output" / "failure").read_text()


@pytest.mark.starts_processes
def test_the_committed_settings_train_an_accurate_model_like_the_committed_one(tmp_path: Path) -> None:
    base = tree(tmp_path, json.loads((COMMITTED / SETTINGS).read_text()))

    done = train(base)

    assert done.returncode == 0, done.stderr
    assert not (base / "output" / "failure").exists()
    written = files(base / "model")
    assert set(written) == set(files(COMMITTED / "model"))
    metrics = json.loads(written["metrics.json"])
    assert metrics["accuracy"] >= 0.98
    assert metrics["held_out_images"] == 355
    assert f"accuracy={metrics['accuracy']:.4f}" in done.stdout
    assert_answers_are_golden(base / "model")


def assert_answers_are_golden(directory: Path) -> None:
    handler = DigitsHandler(pytorch.load(directory, "fp32", load_network))
    cases = golden.read(directory / golden.FILE)

    assert len(cases) == 32
    assert {case.expected.comparison for case in cases} == {golden.Comparison("json", absolute=1e-4)}
    for case in cases:
        prediction = handler.predict(handler.decode(case.request.body, case.request.content_type))
        answer = handler.encode(prediction, case.request.accept)
        assert isinstance(answer.body, bytes)
        found = golden.Answer(answer.status, answer.content_type, answer.body)
        assert golden.first_difference(case, found) is None


@pytest.mark.starts_processes
def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    bases = [tree(tmp_path / name, QUICK) for name in ("a", "b")]
    runs = [
        subprocess.Popen(command(base)[0], env=command(base)[1], stdout=subprocess.DEVNULL) for base in bases
    ]
    assert [run.wait(60) for run in runs] == [0, 0]

    first, again = (files(base / "model") for base in bases)
    assert len(first) == 7
    assert first == again


def test_the_seed_decides_the_weights() -> None:
    digits, _ = split(read(COMMITTED / DATA.parent))

    def weights(seed: int) -> bytes:
        return to_bytes(fit(digits, Hyperparameters(epochs=1, batch_size=512, seed=seed)).state_dict())

    assert weights(7) == weights(7)
    assert weights(7) != weights(8)


def test_without_hyperparameters_the_defaults_hold() -> None:
    assert parse({}) == Hyperparameters(epochs=24, batch_size=64, learning_rate=0.003, seed=0)


def test_sagemakers_own_hyperparameters_are_left_alone() -> None:
    given = {"sagemaker_program": "train.py", "_tuning_objective_metric": "accuracy", "batch-size": "32"}

    assert parse(given).batch_size == 32


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"epoch": "3"},
            "hyperparameter 'epoch' is unknown; known are batch-size, epochs, learning-rate, seed",
        ),
        ({"epochs": "many"}, "hyperparameter 'epochs': expected a whole number from 1 to 1000, got 'many'"),
        ({"epochs": "1.5"}, "hyperparameter 'epochs': expected a whole number from 1 to 1000, got '1.5'"),
        ({"seed": "-1"}, "hyperparameter 'seed': expected a whole number from 0 to"),
        (
            {"learning-rate": "nan"},
            "hyperparameter 'learning-rate': expected a number from 1e-06 to 1, got 'nan'",
        ),
    ],
)
def test_a_bad_hyperparameter_is_named(given: Mapping[str, object], sentence: str) -> None:
    with pytest.raises(BadHyperparameter) as caught:
        parse(given)

    assert str(caught.value).startswith(sentence)


@pytest.mark.starts_processes
def test_a_failure_exits_1_and_leaves_its_reason_for_sagemaker(tmp_path: Path) -> None:
    base = tree(tmp_path, {"epoch": "3"})

    done = train(base)

    assert done.returncode == 1
    assert failure(base).startswith("hyperparameter 'epoch' is unknown")
    assert failure(base) in done.stderr
    assert "Traceback" not in done.stderr
    assert not (base / "model").exists()


@pytest.mark.starts_processes
def test_a_long_reason_is_cut_to_what_sagemaker_shows(tmp_path: Path) -> None:
    base = tree(tmp_path, {"x" * 5000: "3"})

    assert train(base).returncode == 1
    assert len(failure(base)) == 1024


@pytest.mark.starts_processes
def test_an_unexpected_error_is_a_reason_too(tmp_path: Path) -> None:
    base = tree(tmp_path, QUICK)
    (base / "model").write_text("a file where the directory should be")

    done = train(base)

    assert done.returncode == 1
    assert failure(base).startswith("FileExistsError: ")
    assert "Traceback" in done.stderr


@pytest.mark.starts_processes
def test_sigterm_ends_training_at_once(tmp_path: Path) -> None:
    arguments, environ = command(tree(tmp_path, {"epochs": "1000"}))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(arguments, env=environ, stdout=log, stderr=subprocess.STDOUT)
    try:
        assert until(lambda: "epoch=1 " in (tmp_path / "log").read_text(), 30)

        process.send_signal(signal.SIGTERM)

        assert process.wait(5) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "model").exists()


LINE = ",".join(["0"] * 64 + ["3"]) + "\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"not gzip", "not gzipped CSV"),
        (gzip.compress(LINE.encode(), mtime=0)[:-9], "not gzipped CSV"),
        (gzip.compress((LINE + "1,2\n").encode(), mtime=0), "line 2: expected 65 numbers, got 2"),
        (
            gzip.compress((LINE + LINE.replace("0", "x", 1)).encode(), mtime=0),
            "line 2: expected whole numbers",
        ),
        (
            gzip.compress(LINE.replace("0", "17", 1).encode(), mtime=0),
            "line 1: expected pixels from 0 to 16 and a label",
        ),
        (gzip.compress((LINE * 9).encode(), mtime=0), "expected 5 images of each digit or more, got"),
        (gzip.compress(b"", mtime=0), "expected 5 images of each digit or more, got"),
    ],
)
def test_bad_data_is_told_where(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "digits.csv.gz").write_bytes(data)

    with pytest.raises(BadData) as caught:
        read(tmp_path)

    assert sentence in str(caught.value)
    assert "digits.csv.gz" in str(caught.value)


def test_a_channel_without_the_file_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "digits.csv").touch()

    with pytest.raises(BadData, match=r"no such file \(the channel holds: digits\.csv\)"):
        read(tmp_path)


def test_a_fifth_of_each_digit_is_held_out() -> None:
    digits = read(COMMITTED / DATA.parent)
    learnt, held_out = split(digits)

    assert len(learnt) + len(held_out) == len(digits) == 1797
    for label in range(10):
        assert (held_out.labels == label).sum() == (digits.labels == label).sum() // 5


def test_shifting_moves_an_image_by_at_most_one_pixel() -> None:
    image = torch.zeros(8, 8)
    image[3, 4] = 1
    torch.manual_seed(0)

    moved = shifted(image.view(1, 64).repeat(200, 1)).view(-1, 8, 8)

    places = {tuple(place) for _, *place in moved.nonzero().tolist()}
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 4, 5)}
    assert moved.sum() == 200


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (None, "there are no weights; train first"),
        (b"", "not a safetensors file"),
        (b"\x80\x04pickled", "not a safetensors file"),
    ],
)
def test_weights_that_are_none_are_refused_in_a_sentence(
    tmp_path: Path, weights: bytes | None, sentence: str
) -> None:
    if weights is not None:
        (tmp_path / "model.safetensors").write_bytes(weights)

    with pytest.raises(ModelProblem, match=sentence):
        load(tmp_path)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    save_file({"another.weight": torch.zeros(1)}, tmp_path / "model.safetensors")

    with pytest.raises(ModelProblem, match="the weights of another network") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
