"""The API that the release describes: schema, order, media types and refusals. Only for a release that describes one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import golden
from golden.cases import JSON
from smoke_tests import rows as media
from smoke_tests.client import Client
from smoke_tests.conftest import SUBJECT
from smoke_tests.expectations import require_right
from smoke_tests.openapi import ApiDescription
from smoke_tests.rows import Rows

JSON_LINES = "application/jsonlines"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case for each media type, and each kind of bad input, of the described API."""
    api = metafunc.config.stash[SUBJECT].api
    cases = {
        "request_type": api.request_types if api else (),
        "response_type": api.response_types if api else (),
        "bad": tuple(pytest.param(bad, id=bad[0]) for bad in bad_bodies(api)) if api else (),
    }
    for name, values in cases.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values or ("none described",))


def bad_bodies(api: ApiDescription) -> Iterator[tuple[str, bytes, str]]:
    """Yield bodies that the schema forbids: what is wrong, the body, and what the refusal must name."""
    yield "broken JSON", b"{not json", "JSON"
    yield "not UTF-8", b"\xff\xfe", "UTF-8"
    yield "a list instead of an object", _json([]), "instances"
    yield "no instances", _json({}), "instances"
    yield "an empty list", _json({"instances": []}), "instances"
    yield "NaN", b'{"instances": [[NaN]]}', "instances[0]"
    length, number = api.instance.get("minItems"), api.instance.get("items", {})
    if not length:
        return
    row = [number.get("minimum", 0)] * length
    yield "a row that is too short", _json({"instances": [row[:-1]]}), "instances[0]"
    yield "a word", _json({"instances": [row, ["x", *row[1:]]]}), "instances[1][0]"
    if "maximum" in number:
        above = number["maximum"] + 1
        yield "above the maximum", _json({"instances": [[above, *row[1:]]]}), "instances[0][0]"


def _json(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def test_an_answer_is_as_the_schema_says(client: Client, api: ApiDescription, rows: Rows) -> None:
    answer = client.ask(rows.case().request).message

    assert answer.content_type.startswith(JSON)
    document = json.loads(answer.body)
    assert not list(api.schema_errors(document))
    assert len(document["predictions"]) == len(rows.instances)


def test_all_golden_instances_in_one_request_are_answered_in_order(client: Client, rows: Rows) -> None:
    """Another batch size must not change an answer."""
    case = rows.case()

    require_right(case, client.ask(case.request).message)


def test_each_media_type_declared_for_requests_is_understood(
    client: Client, rows: Rows, request_type: str
) -> None:
    case = rows.case(content_type=request_type)

    require_right(case, client.ask(case.request).message)


def test_each_media_type_declared_for_answers_is_given(
    client: Client, rows: Rows, response_type: str
) -> None:
    case = rows.case(accept=response_type)
    answer = client.ask(case.request).message

    assert (answer.status, answer.content_type.partition(";")[0]) == (200, response_type), answer.body[:200]
    assert answer.body
    if response_type == JSON_LINES:
        answer = replace(answer, content_type=JSON, body=media.read_json_lines(answer.body))
    if response_type in (JSON, JSON_LINES):
        require_right(case, answer)


@pytest.mark.usefixtures("api")
def test_bad_input_is_refused_with_a_sentence_that_says_where(
    client: Client, bad: tuple[str, bytes, str]
) -> None:
    _, body, place = bad
    answer = client.ask(golden.Request(body)).message
    sentence = json.loads(answer.body)["error"]

    assert answer.status == 400
    assert place in sentence
    assert "Traceback" not in sentence


def test_another_content_type_is_refused_by_name(client: Client, rows: Rows) -> None:
    request = replace(rows.case().request, content_type="image/png")
    answer = client.ask(request).message

    assert answer.status == 415
    assert "image/png" in json.loads(answer.body)["error"]
