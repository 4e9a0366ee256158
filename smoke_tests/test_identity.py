"""The expected release answers, from all of its instances."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from smoke_tests.client import Answer, Client
from smoke_tests.golden import Golden

CONCURRENCY = 8
CALLS_PER_INSTANCE = 40  # chance misses one of 2 instances 40 × 2 times in a row once in 10^23 runs


def answers(client: Client, body: bytes) -> Iterator[Answer]:
    """Yield answers to one request, sent by several clients at once, without end."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        while True:
            yield from pool.map(client.predict, [body] * CONCURRENCY)


def test_each_instance_answers_and_all_with_the_same_release(
    client: Client, golden: Golden, instances: int, pytestconfig: pytest.Config
) -> None:
    answering: set[str | None] = set()
    releases: set[str | None] = set()
    for answer in islice(answers(client, golden.body(0)), CALLS_PER_INSTANCE * max(instances, 1)):
        answering.add(answer.instance)
        releases.add(answer.release)
        if len(answering) >= instances and len(releases) > 0:
            break
    expected = pytestconfig.getoption("--release")

    assert None not in answering, "an answer does not name its instance"
    assert releases == ({expected} if expected else releases - {None})
    assert len(releases) == 1, f"more than one release answers: {sorted(map(str, releases))}"
    assert len(answering) >= instances, f"{len(answering)} of {instances} instances answered"
