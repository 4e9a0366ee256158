"""A model is exported once, compared, measured and written down, whoever's it is."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from flask import Flask
from torch import Tensor, nn

import golden
from digits.project import DIGITS
from golden import Case, Comparison, Expected, Request
from predictor import create_app
from serving.engines import Choice, measure, record
from serving.engines.export import ExportFailed, export
from serving.engines.measure import choose
from serving.handlers import export_input
from serving.handlers.export_input import NothingToExport
from serving.handlers.loading import load, read_golden
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container import archives
from tests.container.serve_process import COMMITTED, CONTAINER

TORCH, ORT = Choice("torch"), Choice("onnxruntime")
OPENVINO, BF16 = Choice("openvino"), Choice("openvino", "bf16")


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving.engines", *arguments],
        capture_output=True,
        text=True,
        cwd=CONTAINER / "src",
    )


@pytest.mark.starts_processes
def test_the_committed_archive_exports_to_itself_and_measures_again(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(COMMITTED / "model", tmp_path / "model"))
    (directory / "engines.json").unlink()
    (directory / "model.onnx").unlink()

    exported = command("export", directory)
    first = record.read(directory)
    measured = command("measure", directory)

    assert exported.returncode == 0, exported.stderr
    assert (directory / "model.onnx").read_bytes() == (COMMITTED / "model" / "model.onnx").read_bytes()
    assert first is not None
    assert all(parity.within for parity in first.engines)
    assert "engines: ENGINE=auto takes " in exported.stdout
    assert measured.returncode == 0, measured.stderr
    again = record.read(directory)
    assert again is not None
    assert again.files == first.files
    assert again.engines == first.engines


@pytest.mark.starts_processes
def test_what_cannot_be_exported_or_measured_says_why(tmp_path: Path) -> None:
    archives.brightness(tmp_path / "user")
    (tmp_path / "none").mkdir()

    cases: tuple[tuple[list[str | Path], str], ...] = (
        (["measure", tmp_path / "none"], "there is no engines.json to measure again; export first"),
        (["export", tmp_path / "none"], "there are no weights"),
        (["export", tmp_path / "user"], "name a request with --example"),
    )
    for arguments, says in cases:
        done = command(*arguments)

        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.starts_processes
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_users_program_is_served_by_the_engine_that_was_exported_for_it(
    tmp_path: Path, engine: str
) -> None:
    """Its functions stay as they are; model_fn is for PyTorch, and for the export."""
    directory = doubler(tmp_path / "model")
    (tmp_path / "request.json").write_text("[[1, 2], [3, 4]]")
    done = command("export", directory, "--example", tmp_path / "request.json")
    assert done.returncode == 0, done.stderr
    (directory / "code" / "network.py").unlink()  # what model_fn would need

    app = create_app(load(directory, {"ENGINE": engine}, DIGITS), Identity("a", "b"), Limits(1, 60))
    answer = app.test_client().post("/invocations", data=b"[[5, 6]]")

    assert (answer.status_code, answer.json) == (200, [[10, 12]])


def golden_case(body: str, answer: str, status: int = 200) -> Case:
    expected = Expected(answer.encode(), "application/json", status, Comparison("json"))
    return Case(Request(body.encode(), accept="application/json"), expected)


@pytest.mark.starts_processes
def test_golden_cases_of_a_users_program_are_its_example_and_its_engines_check(tmp_path: Path) -> None:
    """Refusals and requests of other shapes are left out; the engine answers the golden requests at start."""
    directory = doubler(tmp_path / "model")
    refusal = golden_case("[1, 2", '{"error": "body: expected numbers in application/json"}', 400)
    cases = [golden_case("[[1, 2]]", "[[2, 4]]"), refusal, golden_case("[[[3, 4]]]", "[[[6, 8]]]")]
    cases += [golden_case("[[5, 6], [7, 8]]", "[[10, 12], [14, 16]]")]
    golden.write(cases, directory / golden.FILE)

    done = command("export", directory)

    assert done.returncode == 0, done.stderr
    found = record.read(directory)
    assert found is not None
    assert set(found.files) == {"model.pth", "model.onnx"}
    assert "1 of 3 golden inputs are of another type or shape" in done.stdout
    (directory / "code" / "network.py").unlink()  # what model_fn would need
    golden.write([cases[0], cases[3]], directory / golden.FILE)
    assert app_of(directory, "onnxruntime").test_client().get("/ping").status_code == 200
    golden.write([golden_case("[[1, 2]]", "[[2, 5]]")], directory / golden.FILE)
    assert app_of(directory, "onnxruntime").test_client().get("/ping").status_code == 503


def app_of(directory: Path, engine: str) -> Flask:
    environ = {"ENGINE": engine}
    cases = read_golden(directory, environ)
    return create_app(load(directory, environ, DIGITS), Identity("a", "b"), Limits(1, 60), cases=cases)


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        ([golden_case("[[1, 2]]", "[[2, 5]]")], "golden case 0: not an answer of these weights: $[0][1] is 4.0, not 5"),
        ([golden_case("[[1, 2, 3]]", "[[2, 5]]")], "golden case 0: RuntimeError: "),
        ([golden_case("no", "{}", 400)], "golden.jsonl: none of its requests is answered by a prediction"),
        ([], "has formats of its own: record golden cases (python -m golden record), or name a request"),
    ],
)  # fmt: skip
def test_golden_cases_that_are_not_those_of_the_weights_are_not_exported(
    tmp_path: Path, cases: list[Case], says: str
) -> None:
    directory = doubler(tmp_path)
    if cases:
        golden.write(cases, directory / golden.FILE)

    with pytest.raises(NothingToExport) as caught:
        export_input.read(directory, None, DIGITS)

    assert says in str(caught.value)


def doubler(directory: Path) -> Path:
    source = """
from digits.project import DIGITS
import torch

def model_fn(model_dir):
    from network import Doubler
    model = Doubler()
    model.load_state_dict(torch.load(model_dir + "/model.pth", weights_only=True))
    return model

def predict_fn(data, model):
    with torch.no_grad():
        return model(data.to("cpu"))
"""
    archives.program(directory, source)
    (directory / "code" / "network.py").write_text(
        "from torch import nn\nclass Doubler(nn.Linear):\n    def __init__(self): super().__init__(2, 2, bias=False)\n"
    )
    torch.save({"weight": torch.eye(2) * 2}, directory / "model.pth")
    return directory


class TwoAnswers(nn.Module):
    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        return batch, batch * 2


class FixedBatch(nn.Module):
    def forward(self, batch: Tensor) -> Tensor:
        return batch.reshape(2, -1)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (TwoAnswers(), "one tensor in and one tensor out"),
        (FixedBatch(), "expected a prediction for each row of a batch"),
    ],
)
def test_a_network_that_is_no_batch_to_batch_is_refused(tmp_path: Path, net: nn.Module, says: str) -> None:
    with pytest.raises(ExportFailed, match=says):
        export(net, np.ones((1, 4), dtype=np.float32), tmp_path)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("times", "allowed", "picked"),
    [
        ({TORCH: 9.0, ORT: 2.0, OPENVINO: 4.0}, [TORCH, ORT, OPENVINO], ORT),
        ({TORCH: 9.0, ORT: 4.0, OPENVINO: 2.0}, [TORCH, ORT, OPENVINO], OPENVINO),
        ({TORCH: 9.0, ORT: 2.3, OPENVINO: 2.0}, [TORCH, ORT, OPENVINO], ORT),
        ({TORCH: 1.0, ORT: 2.0, OPENVINO: 2.0}, [TORCH, ORT, OPENVINO], TORCH),
        ({TORCH: 9.0, ORT: 9.0, OPENVINO: 8.0, BF16: 3.0}, [TORCH, ORT, OPENVINO, BF16], BF16),
        ({TORCH: 9.0, ORT: 1.0}, [TORCH], TORCH),
    ],
)
def test_the_fastest_is_picked_and_the_lighter_of_two_that_are_near(
    times: measure.Times, allowed: list[Choice], picked: Choice
) -> None:
    assert choose(times, allowed) == picked


def test_every_engine_has_its_turn_in_every_round() -> None:
    calls: list[str] = []

    class Counting:
        def __init__(self, name: str) -> None:
            self.name = name

        def predict(self, batch: np.ndarray) -> np.ndarray:
            calls.append(f"{self.name} {batch.shape}")
            return batch

    found = measure.times({ORT: Counting("a"), TORCH: Counting("b")}, np.zeros((3, 2), dtype=np.float32))

    assert set(found) == {ORT, TORCH}
    assert all(seconds > 0 for seconds in found.values())
    assert set(calls) == {f"{name} ({size}, 2)" for name in "ab" for size in measure.BATCHES}
    changes = [one for before, one in pairwise(calls) if one != before]
    assert len(changes) + 1 == measure.ROUNDS * 2 * len(measure.BATCHES)


def test_the_threads_are_those_that_serve_planned() -> None:
    from serving.engines import threads

    assert [threads({}), threads({"OMP_NUM_THREADS": "3"}), threads({"OMP_NUM_THREADS": "0"})] == [1, 3, 1]
    assert threads() == int(os.environ.get("OMP_NUM_THREADS", "1"))
