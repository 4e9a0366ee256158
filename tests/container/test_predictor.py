"""The application by itself: what it answers, and that it names itself whatever happens."""

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray

from digits.handler import DigitsHandler
from predictor import create_app
from serving.engines import Engine
from serving.platform.identity import HEADER, Identity
from serving.platform.limits import Limits
from tests.container.serve_process import COMMITTED, IMAGES, JSON, PREDICTIONS, TOLERANCE

IDENTITY = Identity("abc", "0123456789ab")
REQUEST = (COMMITTED / "model" / "examples" / "request.json").read_bytes()
MEGABYTE = 1024 * 1024


class Broken:
    """An engine whose prediction fails, as one with a defect would."""

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError(f"a secret of the server, for {len(images)} images")


def client_of(engine: Engine) -> FlaskClient:
    return create_app(DigitsHandler(engine), IDENTITY, Limits(payload_mb=1, timeout_seconds=60)).test_client()


def predict(client: FlaskClient, instances: list[list[float]]) -> Any:
    return client.post("/invocations", json={"instances": instances}).get_json()["predictions"]


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    return client_of(engine)


def test_ping_is_200_once_the_model_has_predicted(engine: Engine) -> None:
    handler = DigitsHandler(engine)
    client = create_app(handler, IDENTITY, Limits(payload_mb=1, timeout_seconds=60)).test_client()
    assert not handler.is_ready

    assert client.get("/ping").status_code == 200
    assert handler.is_ready


def test_ping_is_503_while_the_model_cannot_predict() -> None:
    answer = client_of(Broken()).get("/ping")

    assert answer.status_code == 503
    assert answer.json == {"error": "the model cannot predict: RuntimeError"}


def test_golden_instances_get_their_golden_answers(client: FlaskClient) -> None:
    answers = predict(client, IMAGES)

    for answer, expected in zip(answers, PREDICTIONS, strict=True):
        assert answer["label"] == expected["label"]
        np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=TOLERANCE)


def test_an_answer_does_not_depend_on_its_neighbours(client: FlaskClient) -> None:
    instances = IMAGES[:4]

    together = predict(client, instances)
    alone = [predict(client, [one])[0] for one in instances]

    for left, right in zip(together, alone, strict=True):
        np.testing.assert_allclose(left["probabilities"], right["probabilities"], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "error"),
    [
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"1,2", 415,
         "Content-Type: expected one of application/json, application/jsonlines, text/csv, application/x-npy, "
         "application/x-npz, got image/png"),
        ("POST", "/invocations", {**JSON, "Accept": "image/png"}, REQUEST, 406,
         "Accept: expected one of application/json, application/jsonlines, text/csv, application/x-npy, "
         "application/x-npz among the types, got image/png"),
        ("POST", "/invocations", JSON, b"{", 400,
         "body: expected JSON, but line 1, column 2 has a fault: Expecting property name enclosed in double quotes"),
        ("POST", "/invocations", JSON, b" " * (MEGABYTE + 1), 413, "body: expected at most 1 MB, got more"),
        ("POST", "/invocations", JSON, b" " * (2 * MEGABYTE), 413, "body: expected at most 1 MB, got more"),
        ("GET", "/invocations", {}, b"", 405,
         "GET /invocations: expected GET /ping, POST /invocations or GET /metrics"),
        ("GET", "/nowhere", {}, b"", 404, "GET /nowhere: expected GET /ping, POST /invocations or GET /metrics"),
        ("POST", "/ping", {}, b"", 405, "POST /ping: expected GET /ping, POST /invocations or GET /metrics"),
    ],
)  # fmt: skip
def test_a_refusal_is_json_with_one_sentence_and_the_identity(
    client: FlaskClient, method: str, path: str, headers: dict[str, str], body: bytes, status: int, error: str
) -> None:
    answer = client.open(path, method=method, headers=headers, data=body)

    assert (answer.status_code, answer.json) == (status, {"error": error})
    assert answer.mimetype == "application/json"
    assert answer.headers[HEADER] == IDENTITY.header


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json; charset=utf-8"},
        {**JSON, "Accept": "*/*"},
        {**JSON, "Accept": "text/html, application/*;q=0.8"},
        {**JSON, "Accept": ""},
    ],
)
def test_json_in_any_wording_is_taken(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/invocations", headers=headers, data=REQUEST)

    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.headers[HEADER] == IDENTITY.header


def test_a_body_of_exactly_the_limit_is_read(client: FlaskClient) -> None:
    answer = client.post("/invocations", headers=JSON, data=REQUEST.ljust(MEGABYTE))

    assert answer.status_code == 200


def test_a_defect_is_a_500_that_keeps_its_secrets_and_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    answer = client_of(Broken()).post("/invocations", headers=JSON, data=REQUEST)

    assert answer.status_code == 500
    assert answer.json == {"error": "RuntimeError in the server; its log has the details"}
    assert answer.headers[HEADER] == IDENTITY.header
    assert "a secret of the server" in caplog.text


def test_metrics_count_answers_by_kind(client: FlaskClient) -> None:
    client.post("/invocations", headers=JSON, data=REQUEST)
    client.post("/invocations", headers=JSON, data=b"{}")
    client.post("/invocations", headers=JSON, data=b" " * (2 * MEGABYTE))

    page = client.get("/metrics")

    assert page.mimetype == "text/plain"
    assert metrics(page.text)['invocations_total{code="2xx"}'] == 1
    assert metrics(page.text)['invocations_total{code="4xx"}'] == 2
    assert metrics(page.text)["predicted_instances_total"] == 3
    assert metrics(page.text)['serve_info{release="abc",instance="0123456789ab"}'] == 1


def metrics(page: str) -> dict[str, Any]:
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
