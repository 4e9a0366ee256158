"""An idle endpoint answers within the latency budget."""

import time

import pytest

import golden
from smoke_tests.client import Client

REQUESTS = 40
ALLOWED_SLOW = 2  # of 40: 95 of 100 requests keep the budget


def test_answers_come_within_the_latency_budget(
    client: Client, answered: golden.GoldenSet, pytestconfig: pytest.Config
) -> None:
    budget_ms = pytestconfig.getoption("--latency-budget-ms")
    client.ask(answered.case(0).request)  # connects
    milliseconds = []
    for number in range(REQUESTS):
        started = time.perf_counter()
        client.ask(answered.case(number).request)
        milliseconds.append((time.perf_counter() - started) * 1000)
    slow = [each for each in milliseconds if each > budget_ms]

    assert len(slow) <= ALLOWED_SLOW, (
        f"{len(slow)} of {REQUESTS} answers took over {budget_ms:g} ms, the slowest {max(slow):.0f} ms"
    )
