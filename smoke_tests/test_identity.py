"""The expected release answers, from all of its instances."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

import golden
from smoke_tests.client import Client, Reply

CONCURRENCY = 8
CALLS_PER_INSTANCE = 40  # chance misses one of 2 instances 40 × 2 times in a row once in 10^23 runs


def replies(client: Client, request: golden.Request) -> Iterator[Reply]:
    """Yield replies to one request, sent by several clients at once, without end."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        while True:
            yield from pool.map(client.ask, [request] * CONCURRENCY)


def test_each_instance_answers_and_all_with_the_same_release(
    client: Client, answered: golden.GoldenSet, instances: int, pytestconfig: pytest.Config
) -> None:
    answering: set[str | None] = set()
    releases: set[str | None] = set()
    request = answered.case(0).request
    for reply in islice(replies(client, request), CALLS_PER_INSTANCE * max(instances, 1)):
        answering.add(reply.instance)
        releases.add(reply.release)
        if len(answering) >= instances and len(releases) > 0:
            break
    expected = pytestconfig.getoption("--release")

    assert None not in answering, "an answer does not name its instance"
    assert releases == ({expected} if expected else releases - {None})
    assert len(releases) == 1, f"more than one release answers: {sorted(map(str, releases))}"
    assert len(answering) >= instances, f"{len(answering)} of {instances} instances answered"
