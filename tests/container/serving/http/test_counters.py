"""Counts of all workers add up, although each writes without asking the others."""

from collections.abc import Callable
from multiprocessing import get_context

import pytest

from serving.http.counters import Counters
from serving.http.invocation import Invocation

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


def invocation(status: int, instances: int = 0, batch: int = 1, seconds: float = 0.0) -> Invocation:
    return Invocation(status=status, instances=instances, batch=batch, seconds=[0.0, seconds])


def lines(counters: Counters) -> list[str]:
    return counters.prometheus_text("r", "i").splitlines()


@pytest.mark.starts_processes
def test_workers_counting_at_once_lose_nothing() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(TIMES):
            counters.count(invocation(200, instances=2, batch=4, seconds=0.25))

    fork(work, 4)

    assert f'invocations_total{{code="2xx"}} {4 * TIMES}' in lines(counters)
    assert f"predicted_instances_total {8 * TIMES}" in lines(counters)
    assert f"predicted_batches_total {TIMES}" in lines(counters)
    assert f"invocation_seconds_total {TIMES:.6f}" in lines(counters)
    assert f'invocation_part_seconds_total{{part="decode"}} {TIMES:.6f}' in lines(counters)


def test_durations_are_a_histogram_as_prometheus_reads_it() -> None:
    counters = Counters()
    for seconds in (0.0005, 0.001, 0.2, 100.0):
        counters.count(invocation(200, seconds=seconds))

    name = "invocation_duration_seconds"
    found = [line for line in lines(counters) if line.startswith(name)]
    assert found[0] == f'{name}_bucket{{le="0.001"}} 2'
    assert f'{name}_bucket{{le="0.1"}} 2' in found
    assert f'{name}_bucket{{le="0.25"}} 3' in found
    assert found[-3:] == [f'{name}_bucket{{le="+Inf"}} 4', f"{name}_sum 100.201500", f"{name}_count 4"]


def test_the_sizes_of_batches_are_a_histogram() -> None:
    counters = Counters()
    for size in (1, 1, 3, 3, 3, *[200] * 200):
        counters.count(invocation(200, instances=1, batch=size))
    counters.count(invocation(400))

    name = "predicted_batch_requests"
    found = dict(line.rsplit(" ", 1) for line in lines(counters) if line.startswith(name))
    assert [found[f'{name}_bucket{{le="{bound}"}}'] for bound in (1, 2, 4, 128, "+Inf")] == [
        "2",
        "2",
        "3",
        "3",
        "4",
    ]
    assert (found[f"{name}_sum"], found[f"{name}_count"]) == ("205", "4")
    assert "predicted_batches_total 4" in lines(counters)


@pytest.mark.starts_processes
def test_a_worker_that_cannot_predict_is_known_to_all_and_forgotten_with_its_death() -> None:
    counters = Counters()

    fork(lambda: counters.set_fit(False), 1)
    assert counters.unfit_workers() == 1

    fork(lambda: counters.count(invocation(200)), 1)  # the one that replaces it
    assert counters.unfit_workers() == 0


@pytest.mark.starts_processes
def test_a_worker_that_replaces_another_goes_on_counting() -> None:
    counters = Counters()

    for status in (200, 400, 413, 500, 504):
        fork(lambda status=status: counters.count(invocation(status)), 1)  # type: ignore[misc]

    assert lines(counters)[2:5] == [
        'invocations_total{code="2xx"} 1',
        'invocations_total{code="4xx"} 2',
        'invocations_total{code="5xx"} 2',
    ]
