"""A worker accepts invocations from the socket of all only while its program is free."""

import selectors
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.http.sockets import FreeWorkersSocket


@dataclass
class Front:
    """The listening socket, a worker's poller, and connections as names."""

    shared: FreeWorkersSocket
    poller: selectors.BaseSelector
    first: socket.socket
    second: socket.socket

    def is_listening(self, *, may_accept: bool = True) -> bool:
        self.shared.update(self.poller, print, may_accept=may_accept)
        return bool(self.poller.get_map())


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    listener, (first, second) = socket.socket(socket.AF_UNIX), socket.socketpair()
    listener.bind(str(tmp_path / "socket"))
    poller = selectors.DefaultSelector()
    yield Front(FreeWorkersSocket(listener, 2), poller, first, second)
    poller.close()
    for each in (listener, first, second):
        each.close()


def test_it_accepts_one_request_and_another_when_that_is_answered(front: Front) -> None:
    assert front.is_listening()

    front.shared.begin(front.first)
    assert not front.is_listening()

    front.shared.end(front.first)
    assert front.is_listening()


def test_between_the_parts_of_streams_others_are_answered_up_to_a_number(front: Front) -> None:
    front.shared.begin(front.first)
    front.shared.begin_stream(front.first)
    assert front.is_listening()

    front.shared.begin(front.second)
    assert not front.is_listening()
    front.shared.begin_stream(front.second)
    assert not front.is_listening(), "there are as many connections as threads"

    front.shared.end(front.first)
    assert front.is_listening()


def test_a_worker_that_stops_accepts_no_more(front: Front) -> None:
    assert front.is_listening()

    assert not front.is_listening(may_accept=False)
