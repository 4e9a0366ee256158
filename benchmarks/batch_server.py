"""Measure the CPU time of a request with batching and without.

    python -m benchmarks.batch_server

The batch server and the committed model's engines run in this process, with a number of requests waiting at
once. CPU time is that of the one thread that does it all, so that other load on the machine hardly shows.
"""

import os
import socket
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
CONTAINER = Path(__file__).parents[1] / "container"
sys.path.insert(0, str(CONTAINER / "src"))

from digits.handler import DigitsHandler  # noqa: E402  # found on the path of the line above
from digits.project import DIGITS  # noqa: E402
from predictor import create_app  # noqa: E402
from serving import engines  # noqa: E402
from serving.http import application, batching  # noqa: E402
from serving.http.batch_server import BatchServer  # noqa: E402
from serving.http.request_log import RequestLog  # noqa: E402
from serving.http.service import SERVICE, Service  # noqa: E402
from serving.platform.identity import Identity  # noqa: E402
from serving.platform.limits import BATCH_INSTANCES, Limits  # noqa: E402

MODEL = CONTAINER / "local_test" / "opt" / "ml" / "model"
BODY = (CONTAINER / "local_test" / "payloads" / "one-digit.json").read_bytes()
WAITING = (1, 8, 32)
REQUESTS = 4000
ROUNDS = 5


class Bench:
    """A batch server that is driven step by step, and its clients."""

    def __init__(self, handler: DigitsHandler, instances: int, waiting: int, directory: str) -> None:
        limits = Limits(25, 60, batch_instances=instances)
        identity = Identity("bench", "0")
        log = RequestLog(
            identity, write=lambda _line: None
        )  # formatting a line is measured, writing it is not
        app = create_app(handler, identity, limits, log)
        self._service: Service = app.extensions[SERVICE]
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{directory}/{instances}-{waiting}")
        listener.listen(waiting)
        self._server = BatchServer(listener, self._service, partial(application.error_response, app))
        self._clients = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
        for client in self._clients:
            client.connect(listener.getsockname())
        self._server.listen()
        self._server.receive(0)

    def serve_all(self) -> float:
        """Answer a request of every client; return the CPU seconds."""
        head = (
            f"POST /invocations HTTP/1.1\r\nX-Request-Start: {time.time():.3f}\r\nContent-Length: {len(BODY)}"
        )
        for client in self._clients:
            client.sendall(f"{head}\r\n\r\n".encode() + BODY)
        began = time.thread_time()
        requests = self._server.receive(0)
        batching.answer_all(requests, self._service)
        spent = time.thread_time() - began
        assert all(client.recv(65536).startswith(b"HTTP/1.1 200 ") for client in self._clients)
        return spent

    def microseconds(self) -> float:
        """Return the CPU time of a request: the median of ROUNDS."""
        batches = REQUESTS // len(self._clients)
        rounds = [sum(self.serve_all() for _ in range(batches)) for _ in range(ROUNDS)]
        return statistics.median(rounds) / batches / len(self._clients) * 1e6


def main() -> None:
    """Print a table in Markdown."""
    print("| engine | batching | " + " | ".join(f"{number} waiting" for number in WAITING) + " |")
    print("|---|---|" + "---:|" * len(WAITING))
    with tempfile.TemporaryDirectory() as directory:
        for engine in engines.PRECISIONS:
            handler: Any = DigitsHandler(engines.load(engines.Choice(engine), MODEL, DIGITS.load_network))
            for says, instances in (("off", 1), (f"up to {BATCH_INSTANCES}", BATCH_INSTANCES)):
                with tempfile.TemporaryDirectory(dir=directory) as sockets:
                    found = [Bench(handler, instances, number, sockets).microseconds() for number in WAITING]
                print(
                    f"| {engine} | {says} | " + " | ".join(f"{one:.0f} µs" for one in found) + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
