"""An idle endpoint answers within the latency budget."""

import time

import pytest

from smoke_tests.client import Client
from smoke_tests.golden import Golden

REQUESTS = 40
ALLOWED_SLOW = 2  # of 40: 95 of 100 requests keep the budget


def test_answers_come_within_the_latency_budget(
    client: Client, golden: Golden, pytestconfig: pytest.Config
) -> None:
    budget_ms = pytestconfig.getoption("--latency-budget-ms")
    client.predict(golden.body(0))  # connects
    milliseconds = []
    for number in range(REQUESTS):
        started = time.perf_counter()
        client.predict(golden.body(number % len(golden.instances)))
        milliseconds.append((time.perf_counter() - started) * 1000)
    slow = [each for each in milliseconds if each > budget_ms]

    assert len(slow) <= ALLOWED_SLOW, (
        f"{len(slow)} of {REQUESTS} answers took over {budget_ms:g} ms, the slowest {max(slow):.0f} ms"
    )
