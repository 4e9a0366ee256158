"""Train, serve and predict with three commands and no AWS."""

import gzip
import io
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.container import archives
from tests.container.serve_process import CONTAINER, ask, free_port, until

LOCAL_TEST = CONTAINER / "local_test"
PAYLOADS = LOCAL_TEST / "payloads"
ENCODER = LOCAL_TEST / "examples" / "encoder"
ECHO = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    size = len(body if isinstance(body, bytes) else body.encode())
    return f"{content_type} {accept} {size}", "text/plain"
"""


def test_the_committed_data_are_scikit_learns() -> None:
    prepare = runpy.run_path(str(LOCAL_TEST / "prepare_data.py"))
    committed = (LOCAL_TEST / "opt/ml/input/data/training/digits.csv.gz").read_bytes()

    assert gzip.decompress(committed).decode() == prepare["lines"]()
    assert prepare["compressed"]("x") == prepare["compressed"]("x")
    assert committed[4:8] == bytes(4)  # no time in the header


@pytest.mark.starts_processes
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


@contextmanager
def served(*arguments: str | Path) -> Iterator[int]:
    """Run serve_local.sh; yield its port; check that SIGTERM ends it in order."""
    port = free_port()
    process = subprocess.Popen(
        [LOCAL_TEST / "serve_local.sh", *arguments],
        env=environ(PORT=str(port), SAGEMAKER_MODEL_SERVER_WORKERS="1"),
        stdout=subprocess.DEVNULL,
    )
    try:
        assert until(lambda: answers(port), 30)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the digits model; yield the port."""
    with served() as port:
        yield port


@pytest.fixture(scope="module")
def encoder_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the second example."""
    archive = tmp_path_factory.mktemp("encoder") / "model.tar.gz"
    subprocess.run([sys.executable, ENCODER / "prepare.py", archive], check=True, stdout=subprocess.DEVNULL)
    return archive


@pytest.fixture(scope="module")
def encoder(encoder_archive: Path) -> Iterator[int]:
    """Serve the second example from its .tar.gz; yield the port."""
    with served(encoder_archive) as port:
        yield port


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a program that returns its input, from a directory; yield the port."""
    with served(archives.program(tmp_path_factory.mktemp("echo"), ECHO)) as port:
        yield port


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping").status == 200
    except OSError:
        return False


def environ(**more: str) -> dict[str, str]:
    """Return this environment, with the Python of these tests."""
    return {**os.environ, "PYTHON": sys.executable, **more}


def predict(port: int, *arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LOCAL_TEST / "predict.sh", *arguments],
        env=environ(PORT=str(port)),
        capture_output=True,
        text=True,
        input=given,
    )


@pytest.mark.starts_processes
def test_predict_prints_the_answer_to_its_example(port: int) -> None:
    expected = json.loads((LOCAL_TEST / "opt/ml/model/examples/response.json").read_text())

    answer = json.loads(predict(port).stdout)

    labels = [prediction["label"] for prediction in expected["predictions"]]
    assert [prediction["label"] for prediction in answer["predictions"]] == labels


@pytest.mark.starts_processes
@pytest.mark.parametrize("payload", sorted(PAYLOADS.iterdir()), ids=lambda path: path.stem)
def test_every_payload_gets_what_its_name_promises(port: int, payload: Path) -> None:
    done = predict(port, payload)

    if payload.name.startswith("bad-"):
        assert done.returncode == 1
        assert done.stderr.startswith('HTTP 400: {"error": "')
    else:
        assert done.returncode == 0
        assert json.loads(done.stdout)["predictions"]


@pytest.mark.starts_processes
def test_predict_says_when_nobody_serves() -> None:
    done = predict(free_port())

    assert done.returncode == 1
    assert "is serve_local.sh running?" in done.stderr


@pytest.mark.starts_processes
def test_the_encoder_of_a_packed_archive_embeds_texts(encoder: int) -> None:
    answer = predict(encoder, ENCODER / "requests" / "three-texts.json")

    vectors = np.array(json.loads(answer.stdout)["embeddings"])
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2]  # two sentences about a cat, one about revenue


@pytest.mark.starts_processes
def test_the_encoder_takes_plain_text_and_answers_in_npy(encoder: int) -> None:
    text = ENCODER / "requests" / "one-text.txt"
    body = json.dumps({"inputs": text.read_text()})
    as_json = json.loads(
        ask(encoder, "POST", "/invocations", body, {"Content-Type": "application/json"}).body
    )
    done = subprocess.run(
        [LOCAL_TEST / "predict.sh", text, "text/plain", "application/x-npy"],
        env=environ(PORT=str(encoder)), capture_output=True, check=True,
    )  # fmt: skip

    as_npy = np.load(io.BytesIO(done.stdout))

    assert as_npy.dtype == np.float32
    assert as_npy == pytest.approx(np.array(as_json["embeddings"]), abs=1e-6)


@pytest.mark.starts_processes
@pytest.mark.parametrize("payload", sorted(ENCODER.glob("bad-requests/bad-*")), ids=lambda path: path.stem)
def test_the_encoder_refuses_what_is_no_text(encoder: int, payload: Path) -> None:
    done = predict(encoder, payload)

    assert done.returncode == 1
    assert done.stderr.startswith("HTTP 400: ")


@pytest.mark.starts_processes
def test_the_encoders_weights_follow_from_the_seed(encoder_archive: Path, tmp_path: Path) -> None:
    prepare = runpy.run_path(str(ENCODER / "prepare.py"))
    prepare["write"](tmp_path / "same")
    prepare["write"](tmp_path / "other", seed=6)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in ("same", "other")}

    with tarfile.open(encoder_archive) as packed:
        file = packed.extractfile("model.safetensors")
        assert file is not None
        assert file.read() == weights["same"] != weights["other"]


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "application/jsonlines"),
        ("a.csv", "text/csv"),
        ("a.npy", "application/x-npy"),
        ("a.npz", "application/x-npz"),
        ("a.jpg", "image/jpeg"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_the_content_type_follows_from_the_files_name(
    echo: int, tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(b"12345")

    assert predict(echo, tmp_path / name).stdout == f"{kind} application/json 5\n"


@pytest.mark.starts_processes
def test_any_payload_content_type_and_accept_can_be_sent(echo: int) -> None:
    done = predict(echo, "-", "application/vnd.own", "text/own", given="123")

    assert done.stdout == "application/vnd.own text/own 3\n"


@pytest.mark.starts_processes
def test_a_payload_that_is_not_there_is_named(echo: int) -> None:
    done = predict(echo, "no-such.json")

    assert (done.returncode, done.stderr) == (1, "no-such.json: No such file or directory\n")


@pytest.mark.starts_processes
@pytest.mark.parametrize("archive", ["./no-such-folder", "no-such.tar.gz", "/no/such/folder"])
def test_an_archive_that_is_not_there_is_named(archive: str) -> None:
    done = subprocess.run([LOCAL_TEST / "serve_local.sh", archive], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (1, f"there is no {archive}\n")
