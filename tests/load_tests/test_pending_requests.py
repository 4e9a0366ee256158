"""A request that has begun is counted, even if the user that sent it is killed."""

import gevent
import gevent.event
import pytest

from load_tests.pending_requests import PendingRequests


def test_a_request_outlives_its_user_and_the_run_waits_for_it() -> None:
    """The user is killed while its request is under way, as Locust may do at the end of a phase."""
    pending, began, answer = PendingRequests(), gevent.event.Event(), gevent.event.Event()
    counted = []

    def request() -> None:
        began.set()
        answer.wait()
        counted.append(1)

    user = gevent.spawn(lambda: pending.start(request).join())
    assert began.wait(timeout=5)
    user.kill()
    assert counted == []
    gevent.spawn_later(0.01, answer.set)
    pending.join(5)

    assert counted == [1]
    assert len(pending) == 0


def test_a_request_that_never_ends_is_reported() -> None:
    pending = PendingRequests()
    request = pending.start(lambda: gevent.sleep(60))

    with pytest.raises(TimeoutError, match="1 requests were still running"):
        pending.join(0.01)
    request.kill()
