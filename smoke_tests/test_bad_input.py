"""Bad input is refused with the container's 4xx and one sentence, which SageMaker passes on."""

import json
from typing import Any

import pytest

from smoke_tests.client import Client
from smoke_tests.golden import Golden

IMAGE = [0] * 64


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(b"{not json", "JSON", id="broken JSON"),
        pytest.param(b"\xff\xfe", "UTF-8", id="not UTF-8"),
        pytest.param(body([IMAGE]), "instances", id="a list instead of an object"),
        pytest.param(body({}), "instances", id="no instances"),
        pytest.param(body({"instances": []}), "instances", id="an empty list"),
        pytest.param(body({"instances": [IMAGE[:-1]]}), "instances[0]", id="63 numbers"),
        pytest.param(body({"instances": [IMAGE, ["x", *IMAGE[1:]]]}), "instances[1][0]", id="a word"),
        pytest.param(body({"instances": [[17, *IMAGE[1:]]]}), "instances[0][0]", id="too bright"),
        pytest.param(b'{"instances": [[NaN]]}', "instances[0]", id="NaN"),
    ],
)
def test_bad_input_is_refused_with_a_sentence_that_says_where(
    client: Client, sent: bytes, expected: str
) -> None:
    refusal = client.refusal(sent)

    assert refusal.status == 400
    assert expected in refusal.sentence
    assert "Traceback" not in refusal.sentence


def test_another_content_type_is_refused_by_name(client: Client, golden: Golden) -> None:
    refusal = client.refusal(golden.body(0), content_type="image/png")

    assert refusal.status == 415
    assert "image/png" in refusal.sentence


def test_it_predicts_as_before_after_refusing(client: Client, golden: Golden) -> None:
    before = client.predict(golden.body(0)).predictions
    client.refusal(b"{not json")

    assert client.predict(golden.body(0)).predictions == before
