"""Who answers: the release that should, from all of its instances."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from smoke_tests.client import Answer, Client
from smoke_tests.golden import Golden

AT_ONCE = 8
CALLS_PER_INSTANCE = 40  # chance misses one of 2 instances 40 × 2 times in a row once in 10^23 runs


def answers(client: Client, body: bytes) -> Iterator[Answer]:
    """Yield answers to the same question, asked by several clients at once, for ever."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            yield from pool.map(client.predict, [body] * AT_ONCE)


def test_each_instance_answers_and_all_with_the_same_release(
    client: Client, golden: Golden, instances: int, pytestconfig: pytest.Config
) -> None:
    heard: set[str | None] = set()
    releases: set[str | None] = set()
    for answer in islice(answers(client, golden.body(0)), CALLS_PER_INSTANCE * max(instances, 1)):
        heard.add(answer.instance)
        releases.add(answer.release)
        if len(heard) >= instances and len(releases) > 0:
            break
    wanted = pytestconfig.getoption("--release")

    assert None not in heard, "an answer does not name its instance"
    assert releases == ({wanted} if wanted else releases - {None})
    assert len(releases) == 1, f"more than one release answers: {sorted(map(str, releases))}"
    assert len(heard) >= instances, f"{len(heard)} of {instances} instances were heard"
