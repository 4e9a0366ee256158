"""A request that has begun is counted, whatever becomes of the user that sent it."""

import gevent
import gevent.event
import pytest

from load_tests.flights import Flights


def test_a_request_outlives_its_user_and_the_run_waits_for_it() -> None:
    """The user is killed while its request is under way, as Locust may do at the end of a phase."""
    flights, began, answer = Flights(), gevent.event.Event(), gevent.event.Event()
    counted = []

    def request() -> None:
        began.set()
        answer.wait()
        counted.append(1)

    user = gevent.spawn(lambda: flights.start(request).join())
    assert began.wait(timeout=5)
    user.kill()
    assert counted == []
    gevent.spawn_later(0.01, answer.set)
    flights.land(5)

    assert counted == [1]
    assert len(flights) == 0


def test_a_request_without_an_end_is_not_passed_over_in_silence() -> None:
    flights = Flights()
    request = flights.start(lambda: gevent.sleep(60))

    with pytest.raises(TimeoutError, match="1 requests had no end"):
        flights.land(0.01)
    request.kill()
