"""The batch server by itself, on a socket of its own: requests, refusals, and peers that vanish."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.handler import DigitsHandler
from predictor import create_app
from serving.handlers.handler import Answer
from serving.http import application
from serving.http.batch_server import BatchServer
from serving.http.request_log import RequestLog
from serving.http.service import SERVICE, Service
from serving.platform.identity import HEADER, Identity
from serving.platform.limits import Limits
from tests.container.serve_process import IMAGES, until

DIGIT = IMAGES[0]
IDENTITY = Identity("abc", "0123456789ab")


class Brightness:
    """An engine whose answer shows its input: each probability is the first pixel. `may_go_on` makes it wait."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        self.sizes.append(len(batch))
        self.entered.set()
        assert self.may_go_on.wait(20)
        if (batch[:, 1] == 13).any():
            raise RuntimeError("thirteen")
        return np.repeat(batch[:, :1], 10, axis=1)


@dataclass
class World:
    """A batch server in a thread, and its clients."""

    path: Path
    engine: Brightness
    server: BatchServer
    thread: threading.Thread
    service: Service
    lines: list[str]
    clients: ExitStack = field(default_factory=ExitStack)

    def connect(self) -> socket.socket:
        client = self.clients.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(20)
        client.connect(str(self.path))
        return client

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    worlds: list[World] = []

    def starter(**batching: Any) -> World:
        engine, lines = Brightness(), list[str]()
        log = RequestLog(IDENTITY, sample=1.0, write=lines.append)
        app = create_app(DigitsHandler(engine), IDENTITY, Limits(1, 60, **batching), log)
        service: Service = app.extensions[SERVICE]
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        server = BatchServer(listener, service, partial(application.error_response, app))
        thread = threading.Thread(target=server.run)
        thread.start()
        worlds.append(World(tmp_path / "socket", engine, server, thread, service, lines))
        return worlds[-1]

    yield starter
    for world in worlds:
        world.engine.may_go_on.set()
        world.clients.close()
        world.server.stop()
        world.thread.join(20)
        assert not world.thread.is_alive()


@pytest.fixture
def world(start: Start) -> World:
    return start()


def request(*firsts: float, second: float = 0, more: bytes = b"") -> bytes:
    """Make a request as nginx sends it: an instance for each of `firsts`, which is its first pixel."""
    instances = [[first, second, *[0] * 62] for first in firsts]
    body = json.dumps({"instances": instances}).encode()
    return b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (len(body), more) + body


def hear(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Read one answer: status, header fields, JSON."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += receive(client)
    head, _, body = heard.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in fields)
    while len(body) < int(headers["Content-Length"]):
        body += receive(client)
    return int(line.split()[1]), headers, json.loads(body)


def receive(client: socket.socket) -> bytes:
    part = client.recv(65536)
    assert part, "the server closed the connection"
    return part


def firsts(answer: tuple[int, dict[str, str], Any]) -> list[float]:
    assert answer[0] == 200, answer
    return [prediction["probabilities"][0] for prediction in answer[2]["predictions"]]


def is_closed(client: socket.socket) -> bool:
    """Return True if the server closes the connection without sending more."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_one_connection_carries_request_after_request(world: World) -> None:
    client = world.connect()

    for value in (1.0, 2.0, 3.0):
        client.sendall(request(value))
        answer = hear(client)

        assert firsts(answer) == [value]
        assert answer[1][HEADER] == IDENTITY.header


def test_what_arrives_while_a_batch_is_predicted_is_the_next_batch(world: World) -> None:
    first, *others = (world.connect() for _ in range(6))
    world.engine.may_go_on.clear()
    first.sendall(request(9))
    assert world.engine.entered.wait(20)
    for value, client in enumerate(others):
        client.sendall(request(value, value))

    world.engine.may_go_on.set()

    assert firsts(hear(first)) == [9]
    for value, client in enumerate(others):
        assert firsts(hear(client)) == [value, value]
    assert world.engine.sizes == [1, 10]
    assert [line["batch"] for line in world.log()] == [1, 5, 5, 5, 5, 5]


def test_a_batch_has_at_most_as_many_instances_as_is_set(start: Start) -> None:
    world = start(batch_instances=4)
    first, *others = (world.connect() for _ in range(4))
    world.engine.may_go_on.clear()
    first.sendall(request(9, 9, 9, 9, 9))
    assert world.engine.entered.wait(20)
    for client in others:
        client.sendall(request(1, 2))

    world.engine.may_go_on.set()

    for client in others:
        assert firsts(hear(client)) == [1, 2]
    assert world.engine.sizes == [5, 4, 2]


def test_with_a_delay_a_request_waits_for_others(start: Start) -> None:
    world = start(batch_instances=3, batch_delay_seconds=20.0)
    clients = [world.connect() for _ in range(3)]

    for client in clients:
        client.sendall(request(1))

    assert [firsts(hear(client)) for client in clients] == [[1.0]] * 3
    assert world.engine.sizes == [3]


def test_one_that_breaks_the_engine_fails_alone(world: World) -> None:
    first, good, bad = (world.connect() for _ in range(3))
    world.engine.may_go_on.clear()
    first.sendall(request(9))
    assert world.engine.entered.wait(20)
    good.sendall(request(1))
    bad.sendall(request(2, second=13))

    world.engine.may_go_on.set()

    assert firsts(hear(good)) == [1]
    status, _, body = hear(bad)
    assert (status, body) == (500, {"error": "RuntimeError in the server; its log has the details"})
    assert world.service.is_fit, "its other predictions are good"


def test_a_bad_request_beside_good_ones_is_refused_alone(world: World) -> None:
    first, good, bad = (world.connect() for _ in range(3))
    world.engine.may_go_on.clear()
    first.sendall(request(9))
    assert world.engine.entered.wait(20)
    bad.sendall(request(17))
    good.sendall(request(1))

    world.engine.may_go_on.set()

    assert firsts(hear(good)) == [1]
    assert hear(bad)[::2] == (400, {"error": "instances[0][0]: expected 0 to 16, got 17"})


def test_a_request_may_arrive_byte_by_byte(world: World) -> None:
    client = world.connect()

    for byte in request(5):
        client.sendall(bytes([byte]))

    assert firsts(hear(client)) == [5]


def test_a_large_request_and_its_answer_pass_in_parts(world: World) -> None:
    """Larger than a socket's buffers, and the reader is slow: others are answered meanwhile."""
    slow, quick = world.connect(), world.connect()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    count = 3000
    slow.sendall(request(*[1.25] * count))
    assert until(lambda: len(world.lines) == 1)  # predicted, and more than the socket takes

    quick.sendall(request(7))
    assert firsts(hear(quick)) == [7]

    assert firsts(hear(slow)) == [1.25] * count
    slow.sendall(request(8))
    assert firsts(hear(slow)) == [8]


def test_peers_that_vanish_cost_nobody_else_anything(world: World) -> None:
    early, late, other = (world.connect() for _ in range(3))
    early.sendall(request(1)[:40])
    early.close()
    world.engine.may_go_on.clear()
    late.sendall(request(2))
    assert world.engine.entered.wait(20)
    late.close()  # while it is predicted

    world.engine.may_go_on.set()
    other.sendall(request(3))

    assert firsts(hear(other)) == [3]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"GET /ping HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "request: expected POST /invocations HTTP/1.1"),
        (b"POST /invocations HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "request: expected POST /invocations HTTP/1.1"),
        (b"POST /invocations HTTP/1.1\r\n\r\n", "request: expected a body with a Content-Length"),
        (
            b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "request: expected a body with a Content-Length",
        ),
        (
            b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "request: expected a body with a Content-Length",
        ),
        (
            b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab",
            "request: expected one Content-Length",
        ),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "request: expected a body with a Content-Length"),
        (b"POST /invocations HTTP/1.1\r\nA : b\r\n\r\n", "request: expected header fields, a line each"),
        (b"POST /invocations HTTP/1.1\r\nX-Request-Start: soon, I hope\r\n\r\n", "request: X-Request-Start: expected seconds"),
        (request(1) + b"x", "request: expected nothing after its body"),
        (b"x" * 70_000, "request: expected a head of at most 65536 bytes"),
    ],
)  # fmt: skip
def test_what_nginx_does_not_send_is_refused_and_the_connection_closed(
    world: World, data: bytes, sentence: str
) -> None:
    client = world.connect()

    client.sendall(data)

    status, headers, body = hear(client)
    assert (status, body) == (400, {"error": sentence})
    assert (headers["Connection"], headers[HEADER]) == ("close", IDENTITY.header)
    assert is_closed(client)


def test_a_peer_that_leaves_while_its_request_waits_for_others_costs_them_nothing(start: Start) -> None:
    world = start(batch_instances=2, batch_delay_seconds=20.0)
    leaving, staying = world.connect(), world.connect()
    leaving.sendall(request(1))
    leaving.close()
    staying.sendall(request(2))

    assert firsts(hear(staying)) == [2]


def test_told_to_stop_it_still_answers_what_nginx_may_be_sending(world: World) -> None:
    kept = world.connect()
    kept.sendall(request(1))
    hear(kept)

    world.server.stop()
    assert until(lambda: is_refused(world))
    kept.sendall(request(2))

    answer = hear(kept)
    assert (firsts(answer), answer[1]["Connection"]) == ([2], "close")


def test_told_to_stop_it_answers_what_was_begun_and_takes_nothing_new(world: World) -> None:
    world.server.linger_seconds = 0.0
    begun, arriving, idle = (world.connect() for _ in range(3))
    arriving.sendall(request(2)[:50])
    world.engine.may_go_on.clear()
    begun.sendall(request(1))
    assert world.engine.entered.wait(20)

    world.server.stop()
    world.engine.may_go_on.set()

    assert firsts(hear(begun)) == [1]
    assert until(lambda: is_refused(world))
    arriving.sendall(request(2)[50:])
    answer = hear(arriving)
    assert (firsts(answer), answer[1]["Connection"]) == ([2], "close")
    assert is_closed(idle)
    world.thread.join(20)
    assert not world.thread.is_alive()


def is_refused(world: World) -> bool:
    try:
        world.connect()
    except ConnectionRefusedError:
        return True
    return False


def test_its_log_has_the_parts_of_the_time_and_the_callers_id(world: World) -> None:
    client = world.connect()
    client.sendall(
        request(1, more=b"X-Amzn-SageMaker-Inference-Id: mine\r\nX-Request-Start: 1000000000.000\r\n")
    )
    hear(client)

    [line] = world.log()
    assert (line["status"], line["release"], line["instance"]) == (200, "abc", "0123456789ab")
    assert (line["inference_id"], line["instances"], line["server"]) == ("mine", 1, "batch")
    assert line["queue_ms"] > 1e9, "since 2001"
    assert line["total_ms"] == pytest.approx(
        sum(line[f"{part}_ms"] for part in ("queue", "decode", "predict", "encode"))
    )


def test_answers_of_another_status_and_with_headers_go_out_as_they_are(world: World) -> None:
    answer = Answer((part for part in [b'{"a":', b"1}"]), "application/json", 201, {"X-Mine": "yes"})
    world.service.encode = lambda _prediction, _accept: answer  # type: ignore[assignment, method-assign]
    client = world.connect()

    client.sendall(request(1))

    status, headers, body = hear(client)
    assert (status, headers["X-Mine"], body) == (201, "yes", {"a": 1})
