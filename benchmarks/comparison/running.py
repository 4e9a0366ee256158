"""The processes of one server: started with nginx in front, checked, ended."""

import contextlib
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.comparison.workloads import Workload

FRONT = Path(__file__).parent / "front.conf"
START_SECONDS = 90
STOP_SECONDS = 15


class NotServing(Exception):
    """A server ended, or answers wrongly; the message has its last output."""


@dataclass(frozen=True)
class Launch:
    """A process to start. `backend`: its address for nginx; None for a server that brings its own nginx."""

    command: list[str]
    environ: dict[str, str]
    backend: str | None = None
    path: str = "/invocations"  # of the server itself, behind nginx


@dataclass
class Running:
    """The started processes, and the file with their output."""

    port: int
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def process_tree(self) -> list[psutil.Process]:
        """Return every process of the server, with all children."""
        found = []
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def pss_mb(self) -> float:
        """Return the memory of all processes in MiB; shared pages count once (PSS)."""
        total = 0
        for process in self.process_tree():
            with contextlib.suppress(OSError):  # it may have ended
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0])
        return total / 1024

    def recent_logs(self) -> str:
        """Return the end of the output."""
        return self.log.read_text(errors="replace")[-1500:]


@contextlib.contextmanager
def started(launch: Launch, port: int, scratch: Path) -> Iterator[Running]:
    """Start `launch`, with nginx in front if it needs one; end all processes afterwards."""
    running = Running(port, scratch / "log")
    with running.log.open("wb") as log:
        try:
            running.processes.append(_spawn(launch.command, launch.environ, scratch, log.fileno()))
            if launch.backend is not None:
                config = scratch / "front.conf"
                config.write_text(nginx_config(launch, port, scratch))
                nginx = shutil.which("nginx") or "nginx"
                command = [nginx, "-c", str(config), "-p", str(scratch), "-e", "stderr"]
                running.processes.append(_spawn(command, dict(os.environ), scratch, log.fileno()))
            yield running
        finally:
            _end(running)


def nginx_config(launch: Launch, port: int, scratch: Path) -> str:
    """Return the nginx.conf for a server; with the backend "none" nginx itself answers."""
    alone = launch.backend == "none"
    values = {
        "scratch": str(scratch),
        "port": str(port),
        "backend": "127.0.0.1:9" if alone else str(launch.backend),
        "answer": "return 200 '{}';" if alone else f"proxy_pass http://application{launch.path};",
        "user": "user root;" if os.geteuid() == 0 else "",
    }
    return re.sub(r"{{(\w+)}}", lambda found: values[found[1]], FRONT.read_text())


def wait_for_correct_answer(running: Running, workload: Workload | None, precision: str) -> None:
    """Send requests until the answer is correct; without a workload, until any answer is 200.

    Raises NotServing if the server ends, or after START_SECONDS.
    """
    deadline, problem = time.monotonic() + START_SECONDS, "no answer yet"
    body = workload.body if workload else b"{}"
    while time.monotonic() < deadline:
        ended = next((process for process in running.processes if process.poll() is not None), None)
        if ended is not None:
            raise NotServing(f"ended with {ended.returncode}: {running.recent_logs()}")
        try:
            status, answer = post(running.port, body)
            problem = f"HTTP {status}: {answer[:300]!r}"
            if status == 200:
                problem = (workload.problem(answer, precision) if workload else None) or ""
                if not problem:
                    return
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        time.sleep(0.01)
    raise NotServing(f"{problem}; {running.recent_logs()}")


def post(port: int, body: bytes) -> tuple[int, bytes]:
    """Send one request on a connection of its own; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def free_port() -> int:
    """Return a free port of 127.0.0.1 below 32,768: multi-model-server accepts no higher one."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)  # noqa: S311  # not a secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NotServing("none of 100 ports was free")


def _spawn(command: list[str], environ: dict[str, str], cwd: Path, log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environ,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _end(running: Running) -> None:
    """Send SIGTERM; after STOP_SECONDS send SIGKILL to every process that is left."""
    tree = running.process_tree()
    for process in running.processes:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in running.processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0.1))
    for member in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    for process in running.processes:
        process.wait()
