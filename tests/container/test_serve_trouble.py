"""`serve` under load when something fails: killed and hung workers, failing models, slow clients."""

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from tests.container import archives
from tests.container.conftest import path_of
from tests.container.serve_process import IMAGES, JSON, SOURCE, Answer, Serve, until

pytestmark = pytest.mark.starts_processes

DIGIT = IMAGES[0]
REQUEST = json.dumps({"instances": [DIGIT]})
# A handler that says who works on what, and waits where it is told to.
PATIENT = """
import os
import time

def model_fn(d):
    return d

def transform_fn(directory, body, content_type, accept):
    if body != "quick":
        open(os.path.join(directory, f"{body}-{os.getpid()}"), "w").close()
        deadline = time.monotonic() + 60
        while not os.path.exists(os.path.join(directory, "go-on")) and time.monotonic() < deadline:
            time.sleep(0.01)
    return str(os.getpid())
"""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    """Start `serve` behind nginx, from `source`, and end it with the test."""
    servers: list[Serve] = []

    def starter(source: Path = SOURCE, **environment: str) -> Serve:
        servers.append(Serve(environment, path=path_of("nginx", tmp_path), source=source))
        servers[-1].await_ready()
        return servers[-1]

    yield starter
    for server in servers:
        server.end()


class Crowd:
    """A slow handler's callers, each in a thread, and what tells it to go on."""

    def __init__(self, serve: Serve, directory: Path) -> None:
        self._serve = serve
        self._directory = directory
        self._pool = ThreadPoolExecutor(40)

    def ask(self, name: str) -> "Future[Answer]":
        return self._pool.submit(self._serve.ask, "POST", "/invocations", name, {"Content-Type": "text/csv"})

    def await_workers(self, count: int) -> None:
        """Until as many workers have answered: each listens once it has loaded its model."""
        seen: set[bytes] = set()

        def all_seen() -> bool:
            seen.add(self.ask("quick").result(20).body)
            return len(seen) >= count

        assert until(all_seen, 20)

    def working_on(self, name: str) -> int | None:
        """Return the process that works on the request with this name."""
        found = list(self._directory.glob(f"{name}-*"))
        return int(found[0].name.rpartition("-")[2]) if found else None

    def go_on(self) -> None:
        (self._directory / "go-on").touch()
        self._pool.shutdown()


def test_slow_handlers_block_neither_a_free_worker_nor_ping(
    serving: Callable[..., Serve], tmp_path: Path
) -> None:
    archives.program(tmp_path / "model", PATIENT)
    serve = serving(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")
    crowd = Crowd(serve, tmp_path / "model")
    crowd.await_workers(2)

    slow = crowd.ask("slow")
    assert until(lambda: crowd.working_on("slow") is not None)
    others = [crowd.ask("quick").result(20).body.decode() for _ in range(6)]
    assert set(others) == {str(pid) for pid in workers(serve)} - {str(crowd.working_on("slow"))}

    more = [crowd.ask(f"more{number}") for number in range(30)]  # more than both workers have threads
    assert until(lambda: sum(crowd.working_on(f"more{number}") is not None for number in range(30)) == 1)
    for _ in range(6):
        assert ping_within_2_s(serve) == 200, "SageMaker's limit"

    crowd.go_on()
    assert {one.result(20).status for one in [slow, *more]} == {200}


def test_an_abandoned_request_keeps_nobody_waiting_while_a_worker_is_free(
    serving: Callable[..., Serve], tmp_path: Path
) -> None:
    archives.program(tmp_path / "model", PATIENT)
    serve = serving(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")
    crowd = Crowd(serve, tmp_path / "model")
    crowd.await_workers(2)
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 4\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as gone:
        gone.sendall(head + b"gone")
        assert until(lambda: crowd.working_on("gone") is not None)

    others = [crowd.ask("quick") for _ in range(16)]  # while its worker goes on with it

    answered = {other.result(20).body.decode() for other in others}
    assert answered == {str(pid) for pid in workers(serve)} - {str(crowd.working_on("gone"))}
    crowd.go_on()


def ping_within_2_s(serve: Serve) -> int:
    with socket.create_connection(("127.0.0.1", serve.port), timeout=2) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return int(connection.recv(65536).split()[1])


def workers(serve: Serve) -> list[int]:
    return [child.pid for child in serve.child("gunicorn").children()]


def test_a_killed_worker_costs_its_own_requests_alone(serving: Callable[..., Serve], tmp_path: Path) -> None:
    archives.program(tmp_path / "model", PATIENT)
    serve = serving(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2")
    crowd = Crowd(serve, tmp_path / "model")
    crowd.await_workers(2)
    both = {name: crowd.ask(name) for name in ("one", "other")}
    assert until(lambda: all(crowd.working_on(name) is not None for name in both))
    victim = crowd.working_on("one")
    assert victim is not None

    os.kill(victim, signal.SIGKILL)
    lost = both["one"].result(20)
    assert (lost.status, list(lost.json())) == (500, ["error"]), "as AWS's container answers"
    assert until(lambda: len(set(workers(serve)) - {victim}) == 2)
    later = [crowd.ask("quick") for _ in range(6)]
    crowd.go_on()

    assert [one.result(20).status for one in [both["other"], *later]] == [200] * 7


def test_the_only_worker_killed_under_load_costs_no_caller_more_than_what_it_had(
    serving: Callable[..., Serve],
) -> None:
    """With the batch server: a request that comes while there is no worker waits for the next one."""
    serve = serving(SAGEMAKER_MODEL_SERVER_WORKERS="1", LOG_SAMPLE="0")
    enough, failures = threading.Event(), [0] * 4

    def caller(number: int) -> int:
        answered = 0
        while not enough.is_set():
            try:
                status = serve.ask("POST", "/invocations", REQUEST, JSON).status
            except (OSError, HTTPException):
                status = 0
            answered += status == 200
            failures[number] += status != 200
        return answered

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(caller, number) for number in range(4)]
        try:
            [victim] = workers(serve)
            assert until(lambda: served(serve) > 50)
            os.kill(victim, signal.SIGKILL)
            assert until(lambda: bool(set(workers(serve)) - {victim}))
            before = served(serve)
            assert until(lambda: served(serve) > before + 50)
        finally:
            enough.set()

    assert all(one.result() > 0 for one in callers)
    # One was in progress; one more may reach the socket in the instant in which the kernel closes it.
    assert max(failures) <= 2, serve.log()


def served(serve: Serve) -> float:
    page = serve.ask("GET", "/metrics").body.decode()
    return float(page.split('\ninvocations_total{code="2xx"} ')[1].split()[0])


def test_a_hung_worker_is_replaced_and_its_callers_are_told(
    serving: Callable[..., Serve], tmp_path: Path
) -> None:
    archives.program(tmp_path / "model", PATIENT)
    serve = serving(
        SAGEMAKER_BASE_DIR=str(tmp_path),
        SAGEMAKER_MODEL_SERVER_WORKERS="1",
        SAGEMAKER_MODEL_SERVER_TIMEOUT="1",
    )
    crowd = Crowd(serve, tmp_path / "model")
    [hung] = workers(serve)

    late = crowd.ask("never").result(20)

    assert (late.status, late.json()) == (504, {"error": "the application did not answer within 1 s"})
    assert until(lambda: not psutil.pid_exists(hung), 20)
    assert until(lambda: crowd.ask("quick").result(20).status == 200, 20)
    assert "An invocation has run for more than 6 s; this worker is replaced" in serve.log()
    crowd.go_on()


def test_ping_is_503_while_the_model_cannot_predict_and_200_when_it_can_again(
    serving: Callable[..., Serve], tmp_path: Path
) -> None:
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    text, compute = (source / "digits" / "handler.py").read_text(), "return self._engine.predict(data)"
    assert text.count(compute) == 1
    broken = tmp_path / "broken"
    condition = f'__import__("os").path.exists({str(broken)!r})'
    (source / "digits" / "handler.py").write_text(text.replace(compute, f"assert not {condition}; {compute}"))
    serve = serving(source, SAGEMAKER_MODEL_SERVER_WORKERS="2")

    broken.touch()
    assert serve.invoke([DIGIT]).status == 500
    assert serve.ask("GET", "/ping").status == 503
    broken.unlink()

    assert until(lambda: serve.ask("GET", "/ping").status == 200)
    assert serve.invoke([DIGIT]).status == 200


def test_slow_clients_are_cut_by_nginx(serving: Callable[..., Serve], tmp_path: Path) -> None:
    source = tmp_path / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    config = (source / "nginx.conf").read_text()
    quicker = config.replace("client_header_timeout 10s;", "client_header_timeout 1s;")
    quicker = quicker.replace("client_body_timeout 30s;", "client_body_timeout 1s;")
    (source / "nginx.conf").write_text(quicker)
    serve = serving(source, SAGEMAKER_MODEL_SERVER_WORKERS="1")
    started = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"

    for data in (started, started + b"\r\n{"):
        with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as slow:
            slow.sendall(data)
            heard = b""
            with suppress(ConnectionResetError):
                while part := slow.recv(65536):
                    heard += part
        assert heard == b"" or heard.startswith(b"HTTP/1.1 408 ")
    assert serve.invoke([DIGIT]).status == 200
