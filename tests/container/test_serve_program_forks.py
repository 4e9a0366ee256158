"""Processes that a program forks behave as Python's own, and keep nothing of the server."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.container import archives
from tests.container.serve_process import JSON, Serve, until

pytestmark = pytest.mark.starts_processes
Start = Callable[..., Serve]
FORKS = """
import json
import multiprocessing
import os
import signal
import sys
import time

FORK = multiprocessing.get_context("fork")

def model_fn(d):
    return d

def transform_fn(directory, body, content_type, accept):
    return globals()[json.loads(body)](directory)

def slow_pool(directory):
    with FORK.Pool(2) as pool:
        try:
            pool.apply_async(time.sleep, (60,)).get(timeout=0.2)
        except multiprocessing.TimeoutError:
            pass
    pool.join()
    return "the pool has ended"

def exit_code(directory):
    child = os.fork()
    if child == 0:
        sys.exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def returned(directory):
    child = os.fork()
    if child == 0:
        return "from the child"
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def signals(directory):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        stop = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
        named = [getattr(handler, "name", None) or handler.__name__ for handler in map(signal.getsignal, stop)]
        os.write(writer, json.dumps([named, sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    return os.read(reader, 4096)

def leave_one(directory):
    if os.fork() == 0:
        with open(os.path.join(directory, "left"), "w") as left:
            left.write(str(os.getpid()))
        time.sleep(120)
    return str(os.getpid())
"""


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Serve:
    archives.program(tmp_path / "model", FORKS)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()
    return serve


def call(serve: Serve, function: str) -> bytes:
    answer = serve.ask("POST", "/invocations", f'"{function}"', JSON)
    assert answer.status == 200, answer.body
    return answer.body


@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
def test_a_fork_is_as_in_pythons_own_process(serve: Serve) -> None:
    assert call(serve, "slow_pool") == b"the pool has ended"
    assert call(serve, "exit_code") == b"7"
    assert call(serve, "returned") == b"0", "a child is no second worker"
    assert call(serve, "signals") == b'[["SIG_DFL", "SIG_DFL", "default_int_handler"], []]'
    assert call(serve, "exit_code") == b"7"


@pytest.mark.parametrize("start", ["nginx"], indirect=True)
def test_a_child_that_outlives_its_worker_keeps_no_request_waiting(serve: Serve, tmp_path: Path) -> None:
    worker, left = int(call(serve, "leave_one")), tmp_path / "model" / "left"
    assert until(lambda: left.exists() and left.read_text() != "")
    os.kill(worker, signal.SIGKILL)
    try:
        assert until(lambda: not psutil.pid_exists(worker))

        assert until(lambda: call(serve, "exit_code") == b"7", 20), (
            "no request waits for a worker that is gone"
        )
        assert serve.ask("GET", "/ping").status == 200
        assert psutil.pid_exists(int(left.read_text())), "the child is still there"
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
def test_a_clients_connection_ends_with_its_worker_and_not_with_that_ones_children(
    serve: Serve, tmp_path: Path
) -> None:
    left = tmp_path / "model" / "left"
    with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        worker = int(call(serve, "leave_one"))
        assert until(lambda: left.exists() and left.read_text() != "")
        try:
            os.kill(worker, signal.SIGKILL)

            assert client.recv(65536) == b""
            assert psutil.pid_exists(int(left.read_text())), "the child is still there"
        finally:
            os.kill(int(left.read_text()), signal.SIGKILL)
