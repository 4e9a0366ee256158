"""The contract with every caller: schema, order, golden predictions and media types."""

import json

import pytest

from smoke_tests import formats
from smoke_tests.client import Client
from smoke_tests.golden import Golden, differences
from smoke_tests.openapi import DOCUMENT, ApiDescription, read_openapi


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each media type that the release declares."""
    api = read_openapi(metafunc.config.getoption("--openapi") or DOCUMENT)
    if "request_type" in metafunc.fixturenames:
        metafunc.parametrize("request_type", api.request_types)
    if "response_type" in metafunc.fixturenames:
        metafunc.parametrize("response_type", api.response_types)


def test_every_instance_sent_is_answered_as_the_schema_says(
    client: Client, golden: Golden, api: ApiDescription
) -> None:
    answer = client.predict(golden.body())

    assert answer.content_type.startswith("application/json")
    assert not list(api.schema_errors(json.loads(answer.body)))
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
    client: Client, golden: Golden, request_type: str
) -> None:
    answer = client.predict(formats.encode(golden.instances, request_type), content_type=request_type)

    assert not differences(golden, answer.predictions, range(len(golden.instances)))


def test_each_media_type_declared_for_answers_is_given(
    client: Client, golden: Golden, response_type: str
) -> None:
    answer = client.predict(golden.body(), accept=response_type)

    assert answer.content_type.partition(";")[0] == response_type
    predictions = formats.decode(answer.body, response_type)
    assert not differences(golden, predictions, range(len(golden.instances)))
