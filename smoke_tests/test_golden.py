"""The contract with every caller: each golden request gets its golden answer."""

import golden
from smoke_tests.client import Client
from smoke_tests.expectations import require_golden


def test_each_golden_request_gets_its_golden_answer(client: Client, golden_set: golden.GoldenSet) -> None:
    require_golden(
        golden_set, [(number, client.ask(case.request).message) for number, case in enumerate(golden_set)]
    )
