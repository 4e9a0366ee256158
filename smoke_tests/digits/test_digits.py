"""The digits' predictions: a label and its probabilities, the same in every media type. Only for a release with these."""

import json

import pytest

import golden
from golden.cases import JSON
from smoke_tests.client import Client
from smoke_tests.conftest import SUBJECT
from smoke_tests.digits import formats
from smoke_tests.expectations import require_right
from smoke_tests.openapi import ApiDescription
from smoke_tests.rows import Rows

MEMBERS = {"label", "probabilities"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each media type that the release declares for answers."""
    api = metafunc.config.stash[SUBJECT].api
    if "response_type" in metafunc.fixturenames:
        metafunc.parametrize("response_type", api.response_types if api else ("none described",))


@pytest.fixture(autouse=True)
def _only_digits(api: ApiDescription) -> None:
    if set(api.prediction.get("properties", ())) != MEMBERS:
        pytest.skip("the predictions are no labels with probabilities")


def test_the_label_is_the_most_probable_and_probabilities_add_up_to_one(client: Client, rows: Rows) -> None:
    answer = client.ask(rows.case().request).message

    for prediction in json.loads(answer.body)["predictions"]:
        probabilities = prediction["probabilities"]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert prediction["label"] == probabilities.index(max(probabilities))


def test_the_predictions_are_the_golden_ones_in_each_media_type(
    client: Client, rows: Rows, response_type: str
) -> None:
    case = rows.case(accept=response_type)
    answer = client.ask(case.request).message
    decoded = json.dumps({"predictions": formats.decode(answer.body, response_type)}).encode()

    assert answer.status == 200, answer.body[:200]
    require_right(case, golden.Answer(200, JSON, decoded))
