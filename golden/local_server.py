"""Serve a model archive on this machine, as `serve_local.sh` does, and ask it."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from golden.cases import Answer, GoldenError, GoldenSet, Request
from golden.files import FILE, LEGACY_FILE, read_folder

SCRIPT = Path(__file__).resolve().parents[1] / "container" / "local_test" / "serve_local.sh"
START_SECONDS = 600.0  # SageMaker allows eight minutes
ANSWER_SECONDS = 500.0  # a stream may take eight minutes
STOP_SECONDS = 30.0
LOG_LINES = 12
_FROM_NGINX = re.compile(r"\d{4}/\d\d/\d\d ")
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"


@dataclass
class LocalServer:
    """A running server, and the process that started it. `golden_set`: of the archive, None without one."""

    port: int
    process_id: int = 0
    golden_set: GoldenSet | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    def ask(self, request: Request, connection: http.client.HTTPConnection | None = None) -> Answer:
        """Send a request on a connection of its own, or on this one. Raises GoldenError when the server breaks it off."""
        headers = {"Content-Type": request.content_type} | ({} if connection else {"Connection": "close"})
        headers |= {"Accept": request.accept} if request.accept else {}
        if request.custom_attributes:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = request.custom_attributes
        used = connection or self.connection()
        try:
            used.request("POST", "/invocations", request.body, headers)
            answer = used.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise GoldenError(
                f"The model broke the connection off: {error!r}.", fix=self.last_lines()
            ) from error
        finally:
            if connection is None:
                used.close()
        return Answer(answer.status, answer.headers.get("Content-Type", ""), body)

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that can be kept for several requests."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)

    def last_lines(self) -> str:
        """Return the end of the log."""
        return "The server's log ends: " + ("\n".join(self.log) or "nothing")


@contextlib.contextmanager
def serve(model: Path, *, image: str = "", workers: int | None = 1) -> Iterator[LocalServer]:
    """Serve a model archive, or a folder with its content, without its golden set, until the block ends.

    `image`: serve in a container of this image. `workers`: None: as many as the server plans for this machine. Raises
    GoldenError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        folder = Path(scratch) / "model"
        unpack(model, folder)
        server = LocalServer(_free_port(), golden_set=_take_golden_set(folder))
        words = ["bash", str(SCRIPT), f"{folder}/", *([image] if image else [])]
        environ = os.environ | {"PORT": str(server.port)} | ({WORKERS: str(workers)} if workers else {})
        process = subprocess.Popen(
            words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        server.process_id = process.pid
        reader = threading.Thread(target=_read, args=(process, server), daemon=True)
        reader.start()
        try:
            _wait_until_ready(server, process)
            yield server
        finally:
            _stop(process)
            reader.join(STOP_SECONDS)
            if process.stdout is not None:
                process.stdout.close()


def unpack(model: Path, folder: Path) -> None:
    """Copy or unpack a model into a new folder. Raises GoldenError for what is no archive."""
    if model.is_dir():
        shutil.copytree(model, folder)
    else:
        folder.mkdir()
        words = ["tar", "-xzf", str(model), "-C", str(folder), "--no-same-owner"]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise GoldenError(
                f"{model} is no model archive: {done.stderr.strip().splitlines()[0]}",
                fix="Name a model.tar.gz, or a folder with its content.",
            )


def _take_golden_set(folder: Path) -> GoldenSet | None:
    """Take the golden set out of a model's folder: with it the server would judge its answers itself."""
    found = read_folder(folder)
    for name in (FILE, LEGACY_FILE):
        (folder / name).unlink(missing_ok=True)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(process: "subprocess.Popen[str]", server: LocalServer) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            if not _FROM_NGINX.match(line):  # it complains of every ping before the worker is there
                server.log.append(line.rstrip())


def _wait_until_ready(server: LocalServer, process: "subprocess.Popen[str]") -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise GoldenError(
                f"The model cannot be served: exit code {process.returncode}.", fix=server.last_lines()
            )
        if _answers_ping(server.port):
            return
        time.sleep(0.1)
    raise GoldenError(f"The model was not ready within {START_SECONDS:g} s.", fix=server.last_lines())


def _answers_ping(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
