"""What every caller may rely on."""

import pytest

from smoke_tests.client import Client
from smoke_tests.golden import Golden, differences


def test_every_instance_sent_is_answered_with_a_label_and_ten_probabilities(
    client: Client, golden: Golden
) -> None:
    answer = client.predict(golden.body())

    assert answer.content_type.startswith("application/json")
    assert len(answer.predictions) == len(golden.instances)
    for prediction in answer.predictions:
        probabilities = prediction["probabilities"]
        assert len(probabilities) == 10
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert prediction["label"] == probabilities.index(max(probabilities))


def test_the_golden_predictions_come_back_in_order_from_one_batch(client: Client, golden: Golden) -> None:
    answer = client.predict(golden.body())

    assert not differences(golden, answer.predictions, range(len(golden.instances)))


def test_each_golden_prediction_comes_back_alone(client: Client, golden: Golden) -> None:
    """Another batch size must not change an answer."""
    wrong: list[str] = []
    for position in range(len(golden.instances)):
        answer = client.predict(golden.body(position))
        wrong += differences(golden, answer.predictions, range(position, position + 1))

    assert not wrong
