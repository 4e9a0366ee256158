"""What every caller may rely on."""

import json

import pytest

from smoke_tests import formats
from smoke_tests.client import Client
from smoke_tests.declared import DOCUMENT, Declared, read_declared
from smoke_tests.golden import Golden, differences


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each media type that the release declares."""
    declared = read_declared(metafunc.config.getoption("--openapi") or DOCUMENT)
    if "taken" in metafunc.fixturenames:
        metafunc.parametrize("taken", declared.takes)
    if "given" in metafunc.fixturenames:
        metafunc.parametrize("given", declared.gives)


def test_every_instance_sent_is_answered_as_the_schema_says(
    client: Client, golden: Golden, declared: Declared
) -> None:
    answer = client.predict(golden.body())

    assert answer.content_type.startswith("application/json")
    assert not list(declared.faults(json.loads(answer.body)))
    assert len(answer.predictions) == len(golden.instances)
    for prediction in answer.predictions:
        probabilities = prediction["probabilities"]
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


def test_each_media_type_declared_for_requests_is_understood(
    client: Client, golden: Golden, taken: str
) -> None:
    answer = client.predict(formats.encode(golden.instances, taken), content_type=taken)

    assert not differences(golden, answer.predictions, range(len(golden.instances)))


def test_each_media_type_declared_for_answers_is_given(client: Client, golden: Golden, given: str) -> None:
    answer = client.predict(golden.body(), accept=given)

    assert answer.content_type.partition(";")[0] == given
    predictions = formats.decode(answer.body, given)
    assert not differences(golden, predictions, range(len(golden.instances)))
