"""A worker is ready once its model has answered the archive's golden cases, by every step and whatever the model."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

import golden
import predictor
from digits.handler import DigitsHandler
from digits.project import DIGITS
from golden import Case, Comparison, Expected, GoldenSet, Request
from serving.engines import Engine
from serving.engines.agreement import Limit, WrongAnswers
from serving.handlers.golden_cases import GoldenCases
from serving.handlers.loading import load, read_golden
from serving.http.service import SERVICE, Service
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container import archives
from tests.container.serve_process import GOLDEN

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
LIMITS = Limits(payload_mb=1, timeout_seconds=60)
DOUBLER = """
import json

class TooMany(Exception):
    status_code = 422

def model_fn(model_dir):
    return 2

def input_fn(body, content_type):
    numbers = json.loads(body)
    if len(numbers) > 3:
        raise TooMany(f"expected 3 numbers, got {len(numbers)}")
    return numbers

def predict_fn(numbers, model):
    return [number * model for number in numbers]

def output_fn(numbers, accept, context):
    factor = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    if accept == "text/plain":
        return (f"{number}\\n" for number in numbers)
    return [number * int(factor or 1) for number in numbers]
"""


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Forget the program after its test."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("inference", None)


def case(body: Any, answer: Any, status: int = 200, **request: Any) -> Case:
    expected = Expected(json.dumps(answer).encode(), "application/json", status)
    return Case(Request(json.dumps(body).encode(), **request), expected)


def app_of(model: Path, *cases: Case, limits: Limits = LIMITS) -> Flask:
    """Make the application for an archive with these golden cases."""
    golden.write(cases, model / golden.FILE)
    handler = load(model, {}, DIGITS)
    return predictor.create_app(handler, Identity("a", "b"), limits, cases=read_golden(model, {}))


def service_of(app: Flask) -> Service:
    found: Service = app.extensions[SERVICE]
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return archives.program(tmp_path, DOUBLER)


RIGHT = (
    case([1, 2], [2, 4]),
    case([1], [20], custom_attributes="10"),
    case([1, 2, 3, 4], {"error": "TooMany: expected 3 numbers, got 4"}, 422),
    Case(
        Request(b"[5, 6]", accept="text/plain", is_stream=True),
        Expected(b"10\n12\n", "text/plain", comparison=Comparison("text")),
    ),
    Case(
        Request(b" " * (2 << 20)), case(0, {"error": "body: expected at most 1 MB, got more"}, 413).expected
    ),
)


def test_a_program_that_answers_its_golden_cases_is_ready(model: Path) -> None:
    """Headers reach it, refusals are answers, a stream's parts are joined, and the limit of a body holds."""
    app = app_of(model, *RIGHT)

    assert service_of(app).warm_up() == ""
    assert app.test_client().get("/ping").status_code == 200


def test_golden_cases_are_neither_counted_nor_logged(
    model: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_of(model, *RIGHT)

    with caplog.at_level(logging.DEBUG):
        service_of(app).warm_up()

    assert 'invocations_total{code="2xx"} 0' in app.test_client().get("/metrics").text
    assert 'invocations_total{code="4xx"} 0' in app.test_client().get("/metrics").text
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (case([1, 2], [2, 5]), "$[1] is 4, not 5"),
        (case([1], [2], custom_attributes="10"), "$[0] is 20, not 2"),
        (case([1, 2, 3, 4], [2, 4, 6, 8]), "status is 422, not 200: {\"error\": \"TooMany: expected 3 numbers"),
        (case([1, 2, 3, 4], {"error": "no"}, 422), "$.error is \"TooMany: expected 3 numbers, got 4\", not \"no\""),
        (case([1], {"error": "no"}, 400), "status is 200, not 400: [2]"),
        (replace(RIGHT[3], expected=Expected(b"10\n13\n", comparison=Comparison("text"))), "line 2 is \"12\", not \"13\""),
        (replace(RIGHT[4], expected=Expected(None)), "status is 413, not 200"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_named_with_its_case_place_and_both_values(
    model: Path, wrong: Case, says: str
) -> None:
    app = app_of(model, RIGHT[0], replace(wrong, name="mine"))

    with pytest.raises(WrongAnswers) as caught:
        service_of(app).warm_up()

    assert str(caught.value).startswith(f"{model / 'golden.jsonl'}: golden case 1 (mine): {says}")
    assert not service_of(app).is_ready
    assert app.test_client().get("/ping").status_code == 503


def test_the_exception_behind_a_wrong_answer_is_kept_for_the_log(model: Path) -> None:
    with pytest.raises(WrongAnswers) as caught:
        service_of(app_of(model, case([1, "x", None], [1]))).warm_up()

    assert "TypeError: unsupported operand" in str(caught.value.__cause__)


def test_a_torchscript_model_alone_is_asked_too(tmp_path: Path) -> None:
    model = archives.torchscript(tmp_path)
    csv = Request(b"3,4\n", "text/csv", accept="text/csv")

    right = Case(csv, Expected(b"1.5\n2.0\n", "text/csv", comparison=Comparison("text")))
    assert service_of(app_of(model, right)).warm_up() == ""

    wrong = replace(right, expected=replace(right.expected, body=b"1.5\n2.5\n"))
    with pytest.raises(WrongAnswers, match=r'golden case 0: line 2 is "2.0", not "2.5"'):
        service_of(app_of(model, wrong)).warm_up()


def test_what_is_edited_in_the_applications_steps_is_checked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "predict", lambda handler, data: handler.predict(data)[:, ::-1])
    cases = GoldenCases(Path("golden.jsonl"), GOLDEN)
    app = predictor.create_app(DigitsHandler(engine), Identity("a", "b"), LIMITS, cases=cases)

    with pytest.raises(WrongAnswers, match=r"golden case 0: \$.predictions\[0\]"):
        service_of(app).warm_up()


def test_the_check_takes_limited_time_and_says_what_it_left_out(model: Path) -> None:
    app = app_of(model, *[RIGHT[0]] * 1500)
    check = service_of(app).check_golden

    assert check(0) == "1 golden cases took 0 s, 1,499 were not asked (SERVE_GOLDEN_SECONDS)"
    assert check(60) == ""


def test_what_is_compared_by_shape_alone_is_said(model: Path) -> None:
    by_shape = Expected(b"[1.5, 2.5]", comparison=Comparison("shape"))
    app = app_of(model, RIGHT[0], replace(RIGHT[0], expected=by_shape))

    said = service_of(app).warm_up()

    assert said == "1 of 2 golden cases are compared by shape alone, in part or whole"


class Leaning:
    """An engine whose answers to some images are another label, and near to the right ones else."""

    def __init__(self, engine: Engine, wrong: int) -> None:
        self._engine, self._left = engine, wrong

    def predict(self, batch: Any) -> Any:
        answers = self._engine.predict(batch) + np.float32(0.01)
        if batch.any() and self._left:
            self._left -= 1
            return answers[:, ::-1]
        return answers


@pytest.mark.parametrize(("wrong", "is_ready"), [(0, True), (3, True), (4, False)])
def test_an_engine_of_less_precision_may_err_as_far_and_as_often_as_its_limit_says(
    engine: Engine, wrong: int, is_ready: bool
) -> None:
    cases = GoldenCases(Path("golden.jsonl"), GOLDEN, Limit(0.02, 0.9))  # of 32: 3 labels
    handler = DigitsHandler(Leaning(engine, wrong))
    service = service_of(predictor.create_app(handler, Identity("a", "b"), LIMITS, cases=cases))

    if is_ready:
        said = service.warm_up()
        assert (f"{wrong} of 32 golden answers differ, which the engine's limit allows: " in said) == (
            wrong > 0
        )
    else:
        with pytest.raises(WrongAnswers, match="golden case 3"):
            service.warm_up()


def test_no_limit_of_an_engine_lets_a_refusal_be_another(engine: Engine) -> None:
    refusal = case({"instances": []}, {"error": "instances: expected 1 to 4096 instances, got none"}, 400)
    found = GoldenSet((*GOLDEN.cases, refusal), "")
    cases = GoldenCases(Path("golden.jsonl"), found, Limit(0.02, 0.9))
    app = predictor.create_app(DigitsHandler(engine), Identity("a", "b"), LIMITS, cases=cases)

    with pytest.raises(WrongAnswers, match=r"golden case 32: \$.error is"):
        service_of(app).warm_up()


def test_an_engine_without_a_limit_of_its_own_is_held_to_the_cases_tolerance(engine: Engine) -> None:
    cases = GoldenCases(Path("golden.jsonl"), GOLDEN)
    handler = DigitsHandler(Leaning(engine, 0))

    with pytest.raises(WrongAnswers, match=r"golden case 0: .*± 0.0001"):
        service_of(predictor.create_app(handler, Identity("a", "b"), LIMITS, cases=cases)).warm_up()


def test_a_model_that_fails_later_is_unfit_until_it_answers_its_golden_cases_again(engine: Engine) -> None:
    """The check of a failure is itself no request that is checked: it ends."""
    is_broken, failures = False, 0

    class Breaking:
        def predict(self, batch: Any) -> Any:
            nonlocal failures
            if is_broken and batch.any():
                failures += 1
                raise RuntimeError("broken")
            return engine.predict(batch)

    cases = GoldenCases(Path("golden.jsonl"), GOLDEN)
    app = predictor.create_app(DigitsHandler(Breaking()), Identity("a", "b"), LIMITS, cases=cases)
    service_of(app).warm_up()
    body = GOLDEN.case(0).request.body

    is_broken = True
    assert app.test_client().post("/invocations", data=body).status_code == 500
    assert failures == 2, "the request, and one golden case"
    assert app.test_client().get("/ping").status_code == 503
    is_broken = False
    service_of(app).probe()

    assert app.test_client().get("/ping").status_code == 200
