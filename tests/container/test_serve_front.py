"""Requests that reach no program: no valid HTTP, slow clients; and the headers of an answer."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.container import archives
from tests.container.conftest import path_of
from tests.container.serve_process import IMAGES, JSON, SOURCE, Serve, send_raw

pytestmark = pytest.mark.starts_processes
Start = Callable[..., Serve]
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
FAULTS = {
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", "a first line such as POST /invocations HTTP/1.1"),
    "no host": (b"POST /invocations HTTP/1.1\r\n\r\n", "a Host header"),
    "two hosts": (HEAD + b"Host: y\r\n\r\n", "one Host, and a header field a line"),
    "both framings": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length or Transfer-Encoding, got both",
    ),
    "a negative length": (HEAD + b"Content-Length: -2\r\n\r\n", "Content-Length: expected a number of bytes"),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", "one Content-Length"),
    "another coding": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding: expected chunked"),
    "a bad chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "chunks, each after its length"),
    "a blank in a name": (HEAD + b"A b: c\r\n\r\n", "a header field a line, its name before a colon"),
    "a long field": (
        HEAD + b"A: " + b"x" * 9000 + b"\r\n\r\n",
        "header fields of up to 8 KB each, 32 KB together",
    ),
    "another version": (HEAD.replace(b"1.1", b"3.1") + b"\r\n", "HTTP/1.1 or HTTP/1.0"),
}


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    serve = Serve(
        {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}, path=path_of("nginx", tmp_path_factory.mktemp("x"))
    )
    serve.await_ready()
    yield serve
    serve.end()


@pytest.mark.parametrize("name", FAULTS)
def test_a_request_that_is_no_valid_http_is_told_its_fault(behind_nginx: Serve, name: str) -> None:
    request, says = FAULTS[name]

    answer = send_raw(behind_nginx.port, request)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert says in json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]


def test_an_answers_header_of_6_kilobytes_passes(start: Start, tmp_path: Path) -> None:
    source = """
def model_fn(d): pass
def transform_fn(m, b, c, a, context):
    context.set_response_header(0, "X-Long", "x" * 6000)
    return "ok"
"""
    archives.program(tmp_path / "model", source)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()

    answer = serve.ask("POST", "/invocations", b"[]", JSON)

    assert (answer.status, answer.headers["X-Long"]) == (200, "x" * 6000)


@pytest.mark.parametrize(
    ("sent", "heard"), [(b"POST /invocations HTTP/1.1\r\nHost: x\r\n", b""), (HEAD + b"Content-Length: 10\r\n\r\n{", b"HTTP/1.1 408 ")]
)  # fmt: skip
def test_slow_clients_are_cut_without_nginx_too(tmp_path: Path, sent: bytes, heard: bytes) -> None:
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    limits = source / "serving" / "http" / "slow_clients.py"
    quicker = limits.read_text().replace("HEAD_SECONDS = 10", "HEAD_SECONDS = 1")
    limits.write_text(quicker.replace("BODY_SECONDS = 30", "BODY_SECONDS = 1"))
    serve = Serve({"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}, path=path_of("gunicorn", tmp_path), source=source)
    try:
        serve.await_ready()
        with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as slow:
            slow.sendall(sent)
            answer = b""
            with suppress(ConnectionResetError):
                while part := slow.recv(65536):
                    answer += part

        assert answer.startswith(heard)
        assert bool(answer) == bool(heard)
        assert serve.invoke(IMAGES[:1]).status == 200
    finally:
        serve.end()
