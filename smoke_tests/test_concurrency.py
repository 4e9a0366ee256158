"""Many clients at once: each gets the answer to its own request."""

from concurrent.futures import ThreadPoolExecutor

import golden
from smoke_tests.client import Client
from smoke_tests.expectations import require_golden

CLIENTS = 50


def test_fifty_clients_at_once_each_get_their_own_answer(
    client: Client, golden_set: golden.GoldenSet
) -> None:
    """Answers of concurrent requests are never swapped."""
    requests = [golden_set.case(number).request for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        replies = list(pool.map(client.ask, requests))

    require_golden(golden_set, [(number, reply.message) for number, reply in enumerate(replies)])
