"""The published schema says what is taken and given; what it does not say is refused, at no cost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from digits import schema
from digits.handler import DigitsHandler
from digits.project import DIGITS
from predictor import create_app
from serving.engines import Choice, load
from serving.handlers import interface, media
from serving.handlers.loading import load as load_any
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container import archives
from tests.container.malformed import BODIES
from tests.container.serve_process import COMMITTED, CONTAINER, IMAGES, PREDICTIONS

REQUEST = Draft202012Validator(schema.REQUEST)
RESPONSE = Draft202012Validator(schema.RESPONSE)
ERROR = Draft202012Validator(interface.ERROR)
LARGEST = Limits(payload_mb=25, timeout_seconds=60)
rows = st.lists(st.integers(-1, 17) | st.floats(0, 16) | st.booleans(), min_size=63, max_size=65)
nearly = st.fixed_dictionaries({"instances": st.lists(rows, max_size=3)}, optional={"more": st.none()})


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    app = create_app(
        DigitsHandler(load(Choice("torch"), COMMITTED / "model", DIGITS.load_network)),
        Identity("a", "b"),
        LARGEST,
    )
    return app.test_client()


def post(client: FlaskClient, body: bytes, content_type: str = media.JSON) -> Any:
    return client.post("/invocations", data=body, headers={"Content-Type": content_type})


def test_the_committed_document_is_the_published_one(client: FlaskClient) -> None:
    committed = (CONTAINER / "openapi.json").read_text()

    assert committed == client.get("/openapi.json").text, (
        "run: cd container/src && python -m digits.schema > ../openapi.json"
    )
    for part in json.loads(committed)["components"]["schemas"].values():
        Draft202012Validator.check_schema(part)


@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("make", [lambda path: archives.program(path, ""), archives.torchscript])
def test_another_model_publishes_no_schema_of_ours(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    handler = load_any(make(tmp_path), {}, DIGITS)

    assert (
        create_app(handler, Identity("a", "b"), LARGEST).test_client().get("/openapi.json").status_code == 404
    )


def test_the_examples_and_the_golden_answers_keep_to_the_schema(client: FlaskClient) -> None:
    instances = {"instances": IMAGES}

    REQUEST.validate(instances)
    RESPONSE.validate({"predictions": PREDICTIONS})
    RESPONSE.validate(post(client, json.dumps(instances).encode()).json)
    REQUEST.validate(json.loads((COMMITTED / "model" / "examples" / "request.json").read_text()))


@settings(max_examples=60, deadline=None)
@given(nearly)
def test_what_the_schema_takes_is_answered_and_nothing_else(client: FlaskClient, payload: Any) -> None:
    answer = post(client, json.dumps(payload).encode())

    assert answer.status_code == (200 if REQUEST.is_valid(payload) else 400)
    (RESPONSE if answer.status_code == 200 else ERROR).validate(answer.json)


@pytest.mark.parametrize("content_type", media.ALL)
@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_a_400_with_a_sentence(client: FlaskClient, name: str, content_type: str) -> None:
    answer = post(client, BODIES[name], content_type)

    assert answer.status_code == 400
    ERROR.validate(answer.json)
    assert ": expected " in answer.json["error"]
    assert len(answer.json["error"]) < 300
