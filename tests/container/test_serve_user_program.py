"""A user's archive behind the whole of `serve`: workers, streams through nginx, a start that fails."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from tests.container import archives
from tests.container.serve_process import JSON, Serve, read_all, send_raw, until

STREAM = """
import os
import time

def model_fn(d):
    return os.path.join(d, "go-on")

def transform_fn(model, body, content_type, accept):
    yield "first "
    deadline = time.monotonic() + 20
    while not os.path.exists(model) and time.monotonic() < deadline:
        time.sleep(0.01)
    yield "second" if os.path.exists(model) else "too late"
"""
Start = Callable[..., Serve]


@pytest.mark.starts_processes
def test_an_archive_is_served_and_a_stream_goes_out_as_it_comes(start: Start, tmp_path: Path) -> None:
    archives.program(tmp_path / "model", STREAM)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()

    with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as stream:
        stream.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        heard = b""
        while b"first " not in heard:
            heard += stream.recv(65536)
        (tmp_path / "model" / "go-on").touch()  # what the second part waits for
        heard += read_all(stream)

    assert b"second" in heard
    assert b"Transfer-Encoding: chunked" in heard


@pytest.mark.starts_processes
def test_an_idle_program_hears_sigterm(start: Start, tmp_path: Path) -> None:
    """Its thread waits where gunicorn lets no signal interrupt it; gunicorn would kill the worker after 20 s."""
    archives.program(tmp_path / "model", STREAM)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()

    serve.terminate()

    assert serve.process.wait(timeout=15) == 0


@pytest.mark.starts_processes
@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
def test_a_state_dict_with_its_program_is_served_by_all_workers(start: Start, tmp_path: Path) -> None:
    archives.brightness(tmp_path / "model")
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")
    serve.await_ready()

    body = json.dumps({"inputs": [1, 2]})
    answers = {serve.ask("POST", "/invocations", body, JSON).body for _ in range(10)}

    assert answers == {b'{"brightness": 3.0}'}
    assert '"logger": "inference", "message": "loaded"' in serve.log()


@pytest.mark.starts_processes
@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
@pytest.mark.parametrize(
    ("source", "environ", "says"),
    [
        ("def model_fn(d): raise OSError('no weights')", {}, "serve: inference.py: OSError: no weights"),
        (
            "import threading\ndef model_fn(d): threading.Event().wait(30)",
            {"SAGEMAKER_STARTUP_TIMEOUT": "1"},
            "serve: the model was not loaded within 1 s",
        ),
    ],
)
def test_a_model_that_does_not_load_ends_the_start_with_the_reason(
    start: Start, tmp_path: Path, source: str, environ: dict[str, str], says: str
) -> None:
    archives.program(tmp_path / "model", source)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2", **environ)

    assert serve.process.wait(30) == 1
    assert serve.log().count(says) == 1
    assert "\nTraceback" not in serve.log(), "what was raised is in the log's own form"


ENDLESS = """
import os
import time

def model_fn(d):
    return d

def transform_fn(directory, body, content_type, accept):
    if body == "quick":
        return "quick"
    return endless(os.path.join(directory, body), 4_000_000 if body == "large" else 1)

def endless(closed, size):
    try:
        while True:
            yield "-" * size
            time.sleep(0.05)
    finally:
        open(closed, "w").close()
"""
BEGIN = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.starts_processes
def test_a_stream_that_takes_too_long_is_broken_off_whether_its_caller_reads_or_not(
    start: Start, tmp_path: Path
) -> None:
    archives.program(tmp_path / "model", ENDLESS)
    serve = start(
        SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1", SERVE_STREAM_TIMEOUT="1"
    )
    serve.await_ready()
    with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as silent:
        silent.sendall(BEGIN + b"large")

        heard = send_raw(serve.port, BEGIN + b"small")

        assert heard.startswith(b"HTTP/1.1 200 ")
        assert b"1\r\n-\r\n" in heard
        assert not heard.endswith(b"0\r\n\r\n"), "it must not look complete"
        assert until(lambda: "StreamTooLong: the answer was not complete within 1 s" in serve.log())
        for one in ("small", "large"):
            assert until((tmp_path / "model" / one).exists, 20), "its generator is closed"
    assert serve.ask("POST", "/invocations", "quick", {"Content-Type": "text/csv"}).body == b"quick"


@pytest.mark.starts_processes
@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
def test_what_its_requirements_name_is_installed_where_that_is_asked_for(
    start: Start, tmp_path: Path
) -> None:
    """By the real pip, from a directory of wheels, and into one that is not this environment's."""
    archives.in_need_of_a_package(tmp_path / "model")
    archives.wheel(tmp_path / "wheels", "greeting", "WORD = 'hello'")
    serve = start(
        SAGEMAKER_BASE_DIR=str(tmp_path),
        SERVE_INSTALL_REQUIREMENTS="1",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(tmp_path / "wheels"),
        PIP_TARGET=str(tmp_path / "installed"),
        PYTHONPATH=str(tmp_path / "installed"),
    )
    serve.await_ready()

    assert serve.ask("POST", "/invocations", "[]", JSON).body == b"hello"


@pytest.mark.starts_processes
@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
def test_a_requirement_that_pip_does_not_find_ends_the_start_with_pips_reason(
    start: Start, tmp_path: Path
) -> None:
    archives.in_need_of_a_package(tmp_path / "model")
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SERVE_INSTALL_REQUIREMENTS="1", PIP_NO_INDEX="1")

    assert serve.process.wait(30) == 1
    assert "requirements.txt: cannot be installed (ERROR: No matching distribution found for greeting" in (
        serve.log()
    )


def with_golden(model: Path, body: bytes, answer: bytes) -> Path:
    by_json = Comparison("json", absolute=1e-4)
    golden.write([Case(Request(body), Expected(answer, comparison=by_json))], model / golden.FILE)
    return model


@pytest.mark.starts_processes
@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
@pytest.mark.parametrize(
    ("make", "body", "answer", "says"),
    [
        (archives.brightness, b'{"inputs": [1, 2]}', b'{"brightness": 4.0}', "golden case 0: $.brightness is 3.0, not 4.0 ± 0.0001"),
        (archives.torchscript, b"[1, 2]", b"[0.5, 1.5]", "golden case 0: $[1] is 1.0, not 1.5 ± 0.0001"),
        (archives.brightness, b'{"input": 1}', b"{}", "golden case 0: status is 500, not 200: {\"error\": \"KeyError: 'inputs'\"}"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
def test_a_program_that_answers_otherwise_than_its_golden_case_ends_the_start(
    start: Start, tmp_path: Path, make: Callable[[Path], Path], body: bytes, answer: bytes, says: str
) -> None:
    """With one sentence, and the traceback of what the program raised, however many workers find out."""
    model = with_golden(make(tmp_path / "model"), body, answer)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")

    assert serve.process.wait(60) == 1
    assert serve.log().count(f"serve: {model / 'golden.jsonl'}: {says}") == 1
    assert ("Traceback" in serve.log()) == ("KeyError" in says)
