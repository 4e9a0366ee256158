"""Counts of all workers add up, although each writes without asking the others."""

from collections.abc import Callable
from multiprocessing import get_context

from counters import Counters

FORK = get_context("fork")  # as gunicorn starts its workers
TIMES = 3000


def fork(work: Callable[[], None], processes: int) -> None:
    """Run `work` in several processes at once, and wait for them."""
    workers = [FORK.Process(target=work) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * processes


def lines(counters: Counters) -> list[str]:
    return counters.page("r", "i").splitlines()


def test_workers_counting_at_once_lose_nothing() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(TIMES):
            counters.count(200, instances=2, seconds=0.25)

    fork(work, 4)

    assert f'invocations_total{{code="2xx"}} {4 * TIMES}' in lines(counters)
    assert f"predicted_instances_total {8 * TIMES}" in lines(counters)
    assert f"invocation_seconds_total {TIMES:.6f}" in lines(counters)


def test_a_worker_that_replaces_another_goes_on_counting() -> None:
    counters = Counters()

    for status in (200, 400, 413, 500, 504):
        fork(lambda status=status: counters.count(status, instances=0, seconds=0.0), 1)  # type: ignore[misc]

    assert lines(counters)[2:5] == [
        'invocations_total{code="2xx"} 1',
        'invocations_total{code="4xx"} 2',
        'invocations_total{code="5xx"} 2',
    ]
