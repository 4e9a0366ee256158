"""A held port: refused to everybody but the server that it is held for."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.instances.reserved_port import PORTS, ReservedPort


@pytest.fixture
def held() -> Iterator[ReservedPort]:
    port = ReservedPort()
    yield port
    port.release()


def test_no_second_one_holds_the_same_port(held: ReservedPort) -> None:
    with pytest.raises(OSError, match="None of the ports tried") as refused:
        ReservedPort([held.number])
    assert refused.value.errno == errno.EADDRINUSE


def test_a_port_that_is_taken_is_passed_over(held: ReservedPort) -> None:
    free = ReservedPort()
    free.release()
    other = ReservedPort([held.number, free.number])

    assert other.number == free.number
    other.release()


def test_a_port_on_which_somebody_listens_is_passed_over() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(OSError, match="None of the ports tried"):
            ReservedPort([server.getsockname()[1]])


def test_the_server_that_is_told_may_listen(held: ReservedPort) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", held.number))
        server.listen()


def test_who_asks_for_any_port_is_never_given_it(held: ReservedPort) -> None:
    """Neither by the kernel nor by Docker, which takes the same range and sets SO_REUSEADDR."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else PORTS.stop

    assert held.number < lowest
