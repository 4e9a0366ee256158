"""A program's requests run on one thread, first in, first out, and together where they can be joined."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from werkzeug.test import TestResponse

from predictor import create_app
from serving.handlers.context import Call
from serving.handlers.errors import BadRequest, HandlerFailed
from serving.handlers.handler import Answer
from serving.handlers.joining import Joining
from serving.http.program_thread import ProgramThread, WorkerStopped
from serving.http.request_log import RequestLog
from serving.http.service import SERVICE, Service
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container.serve_process import until


class Recorder:
    """A handler that doubles numbers, waits where it is told to, and records who calls it for what."""

    wants_main_thread = True
    is_ready = True
    batching = None

    def __init__(self, joining: Joining | None) -> None:
        self.joining = joining
        self.lock = threading.Lock()
        self.threads: set[int] = set()
        self.predicted: list[list[float]] = []
        self.steps: list[str] = []
        self.caller = ""
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()

    def warm_up(self) -> None: ...

    def refusal_to_join(self) -> None: ...

    def begin(self, call: Call) -> None:
        self.caller = call.headers.get("X-Caller", "")

    def negotiate(self, accept: str) -> str:
        return accept

    def decode(self, body: bytes, _content_type: str) -> NDArray[np.float64]:
        self.threads.add(threading.get_ident())
        self.steps.append("decode")
        if body == b"bad":
            raise BadRequest("not a number")
        return np.array([float(body)])

    def predict(self, data: NDArray[np.float64]) -> Any:
        self.predicted.append(data.tolist())
        self.steps.append("predict")
        self.entered.set()
        assert self.may_go_on.wait(20)
        if (data == 13).any():
            raise HandlerFailed("thirteen")
        if (data == 17).any() and len(data) > 1:
            return "no rows"
        return data * 2

    def encode(self, prediction: NDArray[np.float64], _accept: str) -> Answer:
        self.threads.add(threading.get_ident())
        self.steps.append("encode")
        if prediction[0] == 2 * 99:
            raise SystemExit(3)
        body = json.dumps([prediction.tolist(), self.caller]).encode()
        return Answer(self._parts(body) if prediction[0] == 2 * 50 else body, "application/json")

    def _parts(self, body: bytes) -> Any:
        for place in range(len(body)):
            self.threads.add(threading.get_ident())
            yield body[place : place + 1]

    def count(self, _data: Any) -> int:
        return 1

    def openapi(self) -> None: ...


class World:
    """A program's thread, and callers that ask Flask in threads of their own."""

    def __init__(self, handler: Recorder, **limits: Any) -> None:
        self.handler, self.lines = handler, list[str]()
        log = RequestLog(Identity("a", "b"), sample=1.0, write=self.lines.append)
        self._app = create_app(handler, Identity("a", "b"), Limits(1, 60, **limits), log)
        self.service: Service = self._app.extensions[SERVICE]
        self.program = self.service.program_thread = ProgramThread(self.service)
        self.thread = threading.Thread(target=self.program.run)
        self.thread.start()
        self._pool = ThreadPoolExecutor(40)
        self.asked = 0

    def ask(self, number: object, caller: str = "me") -> "Future[TestResponse]":
        """Ask, and return once the request is in the line."""
        waiting = self.program.waiting
        answer = self._pool.submit(
            self._app.test_client().post, "/invocations", data=str(number), headers={"X-Caller": caller}
        )
        if not self.handler.may_go_on.is_set():
            assert until(lambda: self.program.waiting > waiting or answer.done())
        return answer

    def hold(self) -> "Future[TestResponse]":
        """Ask for 1, which is predicted until `go_on`: what is asked meanwhile waits."""
        self.handler.may_go_on.clear()
        self.handler.entered.clear()
        first = self._pool.submit(self._app.test_client().post, "/invocations", data="1")
        assert self.handler.entered.wait(20)
        return first

    def go_on(self) -> None:
        self.handler.may_go_on.set()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def end(self) -> None:
        self.go_on()
        self.program.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        self._pool.shutdown()


Start = Callable[..., World]


@pytest.fixture
def start() -> Iterator[Start]:
    worlds: list[World] = []

    def starter(joining: Joining | None = None, **limits: Any) -> World:
        worlds.append(World(Recorder(joining), **limits))
        return worlds[-1]

    yield starter
    for world in worlds:
        world.end()


def body(answer: "Future[TestResponse]") -> Any:
    found = answer.result(20)
    assert found.status_code == 200, found.json
    return found.json


def test_every_step_and_every_part_of_a_stream_runs_on_the_one_thread(start: Start) -> None:
    world = start()

    answers = [body(world.ask(number)) for number in (1, 50, 3)]

    assert answers == [[[2.0], "me"], [[100.0], "me"], [[6.0], "me"]]
    assert world.handler.threads == {world.thread.ident}


def test_without_joining_requests_are_answered_one_by_one_in_the_order_of_their_arrival(start: Start) -> None:
    world = start()
    first = world.hold()
    others = [world.ask(number) for number in range(2, 12)]

    world.go_on()

    assert [body(one)[0] for one in [first, *others]] == [[2.0 * number] for number in range(1, 12)]
    assert world.handler.predicted == [[float(number)] for number in range(1, 12)]
    assert world.handler.steps == ["decode", "predict", "encode"] * 11


def test_with_joining_what_waits_is_predicted_at_once_and_each_gets_its_own(start: Start) -> None:
    world = start(Joining(), batch_instances=4)
    first = world.hold()
    others = [world.ask(number, f"caller {number}") for number in range(2, 8)]

    world.go_on()

    assert body(first) == [[2.0], ""]
    assert [body(one) for one in others] == [[[2.0 * n], f"caller {n}"] for n in range(2, 8)]
    assert world.handler.predicted == [[1], [2, 3, 4, 5], [6, 7]]
    assert sorted(line["batch"] for line in world.log()) == [1, 2, 2, 4, 4, 4, 4]
    assert "predicted_batch_requests_sum 7" in world.service.counters.prometheus_text("r", "i")


def test_with_a_delay_a_request_waits_for_others(start: Start) -> None:
    world = start(Joining(), batch_instances=3, batch_delay_seconds=20.0)

    answers = [world.ask(number) for number in (1, 2, 3)]

    assert {body(one)[0][0] for one in answers} == {2, 4, 6}
    assert len(world.handler.predicted) == 1


def test_one_that_cannot_be_decoded_is_refused_alone(start: Start) -> None:
    world = start(Joining())
    world.hold()
    good, bad, other = (world.ask(number) for number in (2, "bad", 3))

    world.go_on()

    assert (body(good)[0], body(other)[0]) == ([4], [6])
    assert (bad.result(20).status_code, bad.result(20).json) == (400, {"error": "not a number"})
    assert world.handler.predicted == [[1], [2, 3]]


def test_a_batch_that_fails_is_predicted_request_by_request(start: Start) -> None:
    world = start(Joining())
    world.hold()
    good, bad, other = (world.ask(number) for number in (2, 13, 3))

    world.go_on()

    assert (body(good)[0], body(other)[0]) == ([4], [6])
    assert (bad.result(20).status_code, bad.result(20).json) == (500, {"error": "thirteen"})
    assert world.handler.predicted == [[1], [2, 13, 3], [2], [13], [3]]
    assert world.handler.joining is not None, "it was one request's fault"


def test_a_prediction_that_cannot_be_split_ends_batching(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    world = start(Joining())
    world.hold()
    asked = [world.ask(number) for number in (2, 17)]

    world.go_on()

    assert [body(one)[0] for one in asked] == [[4], [34]]
    assert world.handler.joining is None
    assert "Batching is off from here on: a prediction was str, which has no rows" in caplog.text


def test_what_ends_a_process_ends_one_request(start: Start) -> None:
    world = start()

    ended = world.ask(99).result(20)

    assert (ended.status_code, ended.json) == (500, {"error": "SystemExit: 3"})
    assert body(world.ask(2))[0] == [4]


def test_after_its_end_nobody_waits_for_it(start: Start) -> None:
    world = start()
    world.hold()
    late = world.ask(2)
    world.program.is_quitting = True

    world.go_on()

    assert late.result(20).status_code == 500
    world.thread.join(20)
    with pytest.raises(WorkerStopped):
        world.program.call(list, Call())
