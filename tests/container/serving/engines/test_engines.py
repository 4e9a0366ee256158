"""Every engine gives PyTorch's answers, the archive's record decides which one serves, and what is not as recorded stops the start."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from digits.handler import DigitsHandler
from digits.project import DIGITS
from serving import engines
from serving.engines import Choice, agreement, choice, record
from serving.engines.agreement import Limit
from serving.engines.choice import BadChoice, choose
from serving.engines.record import Parity, Record
from serving.handlers.errors import BadPrediction, CannotLoad
from serving.handlers.loading import load, read_golden
from serving.platform import devices
from tests.container.serve_process import COMMITTED, CONTAINER, IMAGES, PREDICTIONS

MODEL = COMMITTED / "model"
INSTANCES = np.array(IMAGES, dtype=np.float32)
ANSWERS = np.array([each["probabilities"] for each in PREDICTIONS], dtype=np.float32)
EVERY = [Choice(engine, precision) for engine, known in engines.PRECISIONS.items() for precision in known]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Copy the committed archive, for tests that damage it."""
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def committed() -> Record:
    found = record.read(MODEL)
    assert found is not None
    return found


@pytest.mark.parametrize("chosen", EVERY, ids=str)
@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_engine_gives_the_golden_answers_to_batches_of_any_size(chosen: Choice, size: int) -> None:
    limit = committed().limits[chosen.precision]

    answers = engines.load(chosen, MODEL, DIGITS.load_network).predict(INSTANCES[:size])

    assert answers.dtype == np.float32
    assert limit.allows(agreement.agreement(ANSWERS[:size], answers))


@pytest.mark.parametrize(("gpus", "wanted"), [((), True), (("0",), False)])
def test_torch_has_its_channels_last_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: tuple[str, ...], wanted: bool
) -> None:
    monkeypatch.setattr(devices, "visible_devices", lambda _environ: gpus)

    engine: Any = engines.load(Choice("torch"), MODEL, DIGITS.load_network)

    kernels = [weights for weights in engine.net.parameters() if weights.dim() == 4 and weights.shape[1] > 1]
    assert len(kernels) == 2
    assert {weights.is_contiguous(memory_format=torch.channels_last) for weights in kernels} == {wanted}


@pytest.mark.parametrize("chosen", [one for one in EVERY if one.precision == "fp32"], ids=str)
def test_an_answer_outlives_the_next_prediction(chosen: Choice) -> None:
    engine = engines.load(chosen, MODEL, DIGITS.load_network)
    first = engine.predict(INSTANCES[:1])
    kept = first.copy()

    engine.predict(INSTANCES[1:2])

    np.testing.assert_array_equal(first, kept)


IN_A_WORKER = """
import os, sys, wsgi
before_the_fork = len(os.listdir("/proc/self/task"))
wsgi.handler.warm_up()
ready = wsgi.app.test_client().get("/ping").status_code
print(ready, "torch" in sys.modules, before_the_fork, "multiprocessing" in sys.modules)
"""


@pytest.mark.starts_processes
@pytest.mark.parametrize("engine", ["auto", "onnxruntime", "openvino"])
def test_torch_is_not_imported_where_another_engine_serves_and_none_calls_home(engine: str) -> None:
    """An engine that does starts a thread, or a process, when it is imported: a fork would break it."""
    environ = {"SAGEMAKER_BASE_DIR": str(COMMITTED), "ENGINE": engine, "OPENBLAS_NUM_THREADS": "1"}

    done = subprocess.run(
        [sys.executable, "-c", IN_A_WORKER], capture_output=True, text=True, cwd=CONTAINER / "src",
        env=os.environ | environ,
    )  # fmt: skip

    assert done.stdout == "200 False 1 False\n", done.stderr


def record_with(**changes: Any) -> Record:
    """Return the committed record with openvino as the choice for bf16, and with `changes`."""
    auto = {"fp32": Choice("onnxruntime"), "bf16": Choice("openvino", "bf16")}
    values = vars(committed()) | {"auto": auto} | changes
    return Record(**values)


@pytest.mark.parametrize(
    ("environ", "found", "chosen"),
    [
        ({}, None, Choice("torch")),
        ({"ENGINE": "auto"}, None, Choice("torch")),
        ({}, record_with(), Choice("onnxruntime")),
        ({"ENGINE": ""}, record_with(), Choice("onnxruntime")),
        ({"ENGINE": "torch"}, record_with(), Choice("torch")),
        ({"ENGINE": "torch"}, record_with(precision="bf16"), Choice("torch")),
        ({"ENGINE": "openvino"}, record_with(), Choice("openvino")),
        ({}, record_with(precision="bf16"), Choice("openvino", "bf16")),
        ({"ENGINE_PRECISION": "bf16"}, record_with(), Choice("openvino", "bf16")),
        ({"ENGINE_PRECISION": "fp32"}, record_with(precision="bf16"), Choice("onnxruntime")),
    ],
)
def test_the_record_and_the_environment_choose(
    environ: dict[str, str], found: Record | None, chosen: Choice
) -> None:
    assert choose(environ, found) == chosen


OUTSIDE = Parity("openvino", "bf16", "1", 0.5, 0.9, within=False)


@pytest.mark.parametrize(
    ("environ", "found", "sentence"),
    [
        ({"ENGINE": "tensorrt"}, None, "ENGINE: expected one of auto, onnxruntime, openvino, torch, got 'tensorrt'"),
        ({"ENGINE": "openvino"}, None, "ENGINE=openvino: there is no engines.json beside the weights; export"),
        ({"ENGINE_PRECISION": "int8"}, record_with(), "ENGINE_PRECISION: expected one of bf16, fp32, as in engines.json"),
        ({"ENGINE_PRECISION": "bf16"}, None, "ENGINE_PRECISION: torch has fp32, not 'bf16'"),
        ({"ENGINE": "onnxruntime", "ENGINE_PRECISION": "bf16"}, record_with(), "ENGINE_PRECISION: onnxruntime has fp32, not"),
        ({"ENGINE": "openvino"}, record_with(engines=()), "ENGINE=openvino: engines.json has no entry for openvino fp32"),
        ({"ENGINE": "openvino", "ENGINE_PRECISION": "bf16"}, record_with(engines=(OUTSIDE,)),
         "ENGINE=openvino: openvino bf16 was 0.5 from PyTorch with top-1 agreement 90.00% when exported, outside"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_said(environ: dict[str, str], found: Record | None, sentence: str) -> None:
    with pytest.raises(BadChoice) as caught:
        choose(environ, found)

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("got", "allowed"),
    [
        ([[0.1, 0.9]], True),
        ([[0.10009, 0.89991]], True),
        ([[0.1002, 0.8998]], False),
        ([[float("nan"), 0.9]], False),
        ([[0.1, 0.9], [0.1, 0.9]], False),
    ],
)
def test_answers_are_held_to_a_limit(got: list[list[float]], allowed: bool) -> None:
    found = agreement.agreement(np.array([[0.1, 0.9]], dtype=np.float32), np.array(got, dtype=np.float32))

    assert Limit(1e-4, 1.0).allows(found) is allowed


def test_another_label_is_outside_the_limit_however_near() -> None:
    expected = np.array([[0.50001, 0.49999]], dtype=np.float32)

    assert not Limit(1e-4, 1.0).allows(agreement.agreement(expected, expected[:, ::-1]))


def test_an_engine_whose_answers_are_no_numbers_is_not_ready() -> None:
    class Diverged:
        def predict(self, batch: Any) -> Any:
            return np.full((len(batch), 10), np.nan, dtype=np.float32)

    handler = DigitsHandler(Diverged())

    with pytest.raises(BadPrediction, match="expected finite probabilities, got"):
        handler.warm_up()
    assert not handler.is_ready


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "there is no such file, but engines.json lists it; the archive is incomplete"),
        (flipped, "the file is corrupt, or of another model: fetch the archive again"),
    ],
)
def test_files_that_are_not_as_recorded_stop_the_start_with_one_sentence(
    archive: Path, engine: str, name: str, spoil: Any, says: str
) -> None:
    spoil(archive / name)

    with pytest.raises(CannotLoad, match=r"^[^\n]+$") as caught:
        load(archive, {"ENGINE": engine}, DIGITS)

    assert str(archive / name) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("engines.json", "{", "expected a record of schema 1, got a faulty one (JSONDecodeError"),
        ("engines.json", "[]", "expected a record of schema 1, got a faulty one (TypeError"),
        ("engines.json", '{"schema": 2}', "got a faulty one (ValueError: schema 2); export the model again"),
        (
            "engines.json",
            '{"schema": 1, "engines": [{"precision": "bf16"}], "limits": {"fp32": {}}}',
            "got a faulty one (ValueError: no limits for bf16); export the model again",
        ),
    ],
)
def test_faulty_records_stop_the_start_with_one_sentence(
    archive: Path, name: str, content: str, says: str
) -> None:
    (archive / name).write_text(content)

    with pytest.raises(CannotLoad, match=r"^[^\n]+$") as caught:
        load(archive, {}, DIGITS)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("golden.jsonl", "", "golden.jsonl has no cases. Record the set again"),
        ("golden.jsonl", "{}\n{", "golden.jsonl:1: the request has no body. Record the set again"),
        ("golden.json", '{"cases": []}', "golden.json has no cases. Record the set again"),
    ],
)
def test_a_faulty_golden_set_stops_the_start_with_one_sentence(
    archive: Path, name: str, content: str, says: str
) -> None:
    for each in ("golden.json", "golden.jsonl"):
        (archive / each).unlink(missing_ok=True)
    (archive / name).write_text(content)

    with pytest.raises(CannotLoad, match=r"^[^\n]+$") as caught:
        read_golden(archive, {})

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "tolerance"),
    [({"ENGINE": "torch"}, 1e-4), ({"ENGINE": "openvino"}, 1e-3), ({"ENGINE_PRECISION": "bf16"}, 0.05)],
)
def test_an_engine_is_held_to_the_looser_of_its_limit_and_the_tolerance_of_a_case(
    archive: Path, environ: dict[str, str], tolerance: float
) -> None:
    limits = {"fp32": Limit(1e-3, 1.0), "bf16": Limit(0.05, 0.9)}
    within = Parity("openvino", "bf16", "1", 0.01, 1.0, within=True)
    record.write(record_with(limits=limits, engines=(*committed().engines, within)), archive)

    cases = read_golden(archive, environ)

    assert cases is not None
    assert {case.expected.comparison.absolute for case in cases} == {tolerance}
    assert cases.most_wrong == (3 if tolerance == 0.05 else 0)


def test_weights_alone_are_served_by_torch(archive: Path) -> None:
    for path in archive.iterdir():
        if path.name != "model.safetensors":
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    handler = load(archive, {}, DIGITS)
    handler.warm_up()

    assert handler.is_ready


def test_the_committed_record_says_what_is_there() -> None:
    found = committed()

    record.verify(found, MODEL)
    assert set(found.files) == {"model.safetensors", "model.onnx"}
    assert {(one.engine, one.precision) for one in found.engines} == {
        (one.engine, one.precision) for one in EVERY
    }
    assert json.loads((MODEL / "engines.json").read_text()) == json.loads(found.text())
    assert choice.choose({}, found) == found.auto["fp32"]
