"""Many clients at once: each gets the answer to its own request."""

from concurrent.futures import ThreadPoolExecutor

from smoke_tests.client import Client
from smoke_tests.golden import Golden, differences

CLIENTS = 50


def test_fifty_clients_at_once_each_get_their_own_answer(client: Client, golden: Golden) -> None:
    """Answers of concurrent requests are never swapped."""
    positions = [number % len(golden.instances) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(client.predict, [golden.body(position) for position in positions]))

    wrong = [
        difference
        for position, answer in zip(positions, answers, strict=True)
        for difference in differences(golden, answer.predictions, range(position, position + 1))
    ]
    assert not wrong
