"""`serve` as a process, and requests to it."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import golden

CONTAINER = Path(__file__).parents[2] / "container"
SOURCE = CONTAINER / "src"
COMMITTED = CONTAINER / "local_test" / "opt" / "ml"
IDENTITY = "X-Amzn-SageMaker-Custom-Attributes"
JSON = {"Content-Type": "application/json"}
GOLDEN = golden.read(COMMITTED / "model" / golden.FILE)
IMAGES: list[list[float]] = [json.loads(case.request.body)["instances"][0] for case in GOLDEN]
PREDICTIONS = [case.expected.document["predictions"][0] for case in GOLDEN]  # of IMAGES
TOLERANCE = GOLDEN.case(0).expected.comparison.absolute
ERRORS_ALONE = {"LOG_SAMPLE": "0", "LOG_SLOW_MS": "60000"}  # no request that was well answered is in the log


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    port: int, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {**(headers or {}), "Connection": "close"})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def invoke(port: int, instances: Any) -> Answer:
    return ask(port, "POST", "/invocations", json.dumps({"instances": instances}), JSON)


def send_raw(port: int, data: bytes) -> bytes:
    """Send `data`, and return what the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll a condition for at most `seconds`; return its last value."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Serve:
    """The program under test, on a port of its own. Both its outputs go to one file, `log()`."""

    def __init__(self, environment: Mapping[str, str], *, path: str, source: Path = SOURCE) -> None:
        self.port = int(environment.get("SAGEMAKER_BIND_TO_PORT", "0")) or free_port()
        self._workers = int(environment.get("SAGEMAKER_MODEL_SERVER_WORKERS", "1"))
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by end()
        self._scratch = tempfile.mkdtemp(prefix="test-")  # a short path: it holds a Unix socket
        self.process = subprocess.Popen(
            [sys.executable, source / "serve"],
            cwd="/",
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={
                "HOME": "/nonexistent",
                "PATH": path,
                "SERVE_HOST": "127.0.0.1",
                "SAGEMAKER_BIND_TO_PORT": str(self.port),
                "SAGEMAKER_BASE_DIR": str(COMMITTED),
                "TMPDIR": self._scratch,
                **environment,
            },
        )

    def await_ready(self) -> None:
        """Wait until it answers and every worker has begun: gunicorn starts them one after another."""
        assert until(self._is_ready, 30), self.log()
        assert until(lambda: len(self.child("gunicorn").children()) >= self._workers), self.log()

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return ask(self.port, method, path, body, headers)

    def invoke(self, instances: Any) -> Answer:
        return invoke(self.port, instances)

    def family(self) -> list[psutil.Process]:
        """Return the processes below `serve`: masters and workers."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> psutil.Process:
        """Return the master process of nginx or gunicorn."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if name in " ".join(child.cmdline()))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def log(self) -> str:
        self._output.seek(0)
        return self._output.read().decode()

    def end(self) -> None:
        """Stop it and the processes that it started, in whatever state the test left them."""
        family = self.family() if self.process.poll() is None else []
        self.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in family:
            if process.is_running():
                process.kill()
        self._output.close()
        shutil.rmtree(self._scratch)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.ask("GET", "/ping").status == 200
        except OSError:
            return False
