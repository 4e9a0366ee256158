"""A worker has taken every route and codec before others may ask, and nobody's figures show it."""

import contextlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from predictor import create_app
from serving.handlers import golden_cases, media
from serving.handlers.context import Call
from serving.handlers.handler import Answer
from serving.handlers.joining import Joining
from serving.http import application, sockets, warm_up
from serving.http.batch_server import BatchServer
from serving.http.request_log import RequestLog
from serving.http.service import SERVICE, Service
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container.serve_process import COMMITTED

IDENTITY = Identity("a", "b")


class Recorder:
    """A handler that records which types it is asked for; `document` is its OpenAPI document."""

    wants_main_thread = False
    is_ready = True
    batching = None
    joining: Joining | None = None

    def __init__(self, document: str | None) -> None:
        self.lock = threading.Lock()
        self.document = document
        self.asked: list[tuple[str, str]] = []

    def warm_up(self) -> None: ...

    def refusal_to_join(self) -> None: ...

    def begin(self, _call: Call) -> None: ...

    def negotiate(self, accept: str) -> str:
        return accept

    def decode(self, body: bytes, content_type: str) -> tuple[bytes, str]:
        return body, content_type

    def predict(self, data: tuple[bytes, str]) -> tuple[bytes, str]:
        return data

    def encode(self, prediction: tuple[bytes, str], accept: str) -> Answer:
        self.asked.append((prediction[1], accept))
        return Answer(prediction[0], accept or media.JSON)

    def count(self, _data: Any) -> int:
        return 1

    def openapi(self) -> str | None:
        return self.document


class World:
    """An application with two golden cases of JSON and one of CSV, and what it has logged."""

    def __init__(self, directory: Path, document: str | None) -> None:
        cases = [
            Case(Request(body, content_type), Expected(body, comparison=Comparison("bytes")))
            for body, content_type in ((b"1", media.JSON), (b"2", media.JSON), (b"3", media.CSV))
        ]
        golden.write(cases, directory / golden.FILE)
        self.lines = list[str]()
        self.handler = Recorder(document)
        log = RequestLog(IDENTITY, sample=1.0, write=self.lines.append)
        found = golden_cases.read(directory)
        self.app = create_app(self.handler, IDENTITY, Limits(1, 60), log, cases=found)
        self.service: Service = self.app.extensions[SERVICE]
        self.service.is_ready = True


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "{}")


def test_one_golden_request_of_each_type_is_asked_for_each_type_in_three_rounds(world: World) -> None:
    warm_up.ask_routes(world.app)

    types = ["", *media.ALL]
    assert world.handler.asked == [(kind, accept) for kind in (media.JSON, media.CSV) for accept in types] * 3


def test_a_program_is_asked_for_its_golden_types_alone(tmp_path: Path) -> None:
    world = World(tmp_path, None)

    warm_up.ask_routes(world.app)

    assert world.handler.asked == [(media.JSON, ""), (media.CSV, "")] * 3


def test_every_route_is_taken(world: World) -> None:
    paths = list[str]()

    @world.app.before_request
    def record() -> None:
        from flask import request

        paths.append(request.path)

    warm_up.ask_routes(world.app)

    rules = {rule.rule for rule in world.app.url_map.iter_rules()}
    assert rules <= set(paths)


def test_it_is_neither_counted_nor_logged_and_later_requests_are(world: World) -> None:
    warm_up.ask_routes(world.app)

    assert world.lines == []
    assert 'invocations_total{code="2xx"} 0' in world.service.counters.prometheus_text("r", "i")
    world.app.test_client().post("/invocations", data=b"1")
    assert len(world.lines) == 1
    assert 'invocations_total{code="2xx"} 1' in world.service.counters.prometheus_text("r", "i")


@pytest.fixture
def batch_server(world: World, tmp_path: Path) -> Iterator[BatchServer]:
    with contextlib.closing(sockets.listen(str(tmp_path / "socket"))) as listener:
        yield BatchServer(listener, world.service, partial(application.error_response, world.app))


def test_the_batch_server_answers_before_it_listens(world: World, batch_server: BatchServer) -> None:
    with world.service.unrecorded():
        answers = [batch_server.answer_one(one.as_http()) for one in warm_up.requests(world.service)]

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert len(answers) == len(world.handler.asked) == 36
    assert world.lines == []


def test_a_large_body_and_a_bad_request_do_the_batch_server_no_harm(batch_server: BatchServer) -> None:
    large = warm_up.WarmUpRequest(b"1" * 65536, media.JSON, "").as_http()

    assert batch_server.answer_one(large).startswith(b"HTTP/1.1 200 OK")
    assert batch_server.answer_one(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_committed_archive_has_a_request_to_warm_up_with() -> None:
    cases = golden_cases.read(COMMITTED / "model")

    assert cases is not None
    assert any(case.is_answered and json.loads(case.request.body) for case in cases)
