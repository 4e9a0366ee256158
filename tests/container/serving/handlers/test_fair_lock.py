"""Whoever has waited longest is next."""

import threading
import time

import pytest

from serving.handlers.fair_lock import FairLock
from tests.container.serve_process import until

BOUND_SECONDS = 20.0


def queue_up(lock: FairLock, names: list[str], seen: list[str]) -> list[threading.Thread]:
    """Start a thread for each name, each waiting before the next one comes."""

    def take(name: str) -> None:
        with lock:
            seen.append(name)

    threads = []
    for number, name in enumerate(names, start=1):
        threads.append(threading.Thread(target=take, args=[name], daemon=True))
        threads[-1].start()
        assert until(lambda: lock.waiting == number), f"{name} does not wait for its lock"  # noqa: B023
    return threads


def test_those_who_wait_come_before_one_who_has_just_arrived() -> None:
    """The one who leaves asks again at once, as the worker's next request does."""
    lock, seen = FairLock(), list[str]()
    with lock:
        threads = queue_up(lock, ["first", "second", "third"], seen)
    with lock:
        seen.append("late")
    for thread in threads:
        thread.join(BOUND_SECONDS)
    assert seen == ["first", "second", "third", "late"]


def test_a_lock_is_one_at_a_time_and_free_again_after_an_error() -> None:
    lock, inside, most = FairLock(), [0], [0]

    def work() -> None:
        for _ in range(200):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)  # lets others run, and so find the lock taken
                inside[0] -= 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_SECONDS)
    assert (most, inside) == ([1], [0])
    with pytest.raises(ValueError, match="the user's"), lock:
        raise ValueError("the user's")
    with lock:
        assert lock.waiting == 0
