"""Batching is on only for a program whose golden requests are answered the same together as alone."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden
from digits.project import DIGITS
from golden import Case, Comparison, Expected, Request
from predictor import create_app
from serving.handlers import golden_cases
from serving.handlers.loading import load
from serving.http.service import SERVICE, Service
from serving.platform.identity import Identity
from serving.platform.limits import BadLimit, Limits
from tests.container import archives

PROGRAM = """
import json
import torch

def model_fn(d): return torch.tensor([[2.0], [1.0]])
def input_fn(body, content_type): return torch.tensor(json.loads(body), dtype=torch.float32)
def predict_fn(data, model): return PREDICTION
def output_fn(prediction, accept): return json.dumps({"scores": prediction.tolist()})
"""
DIFFERENT = ([[1, 2]], [[3, 5], [7, 1]])
BY_VALUE = Comparison("json", absolute=1e-4)
Decide = Callable[..., tuple[Service, str]]


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Undo the program's changes to sys.path and sys.modules after its test."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("inference", None)


def case(instances: Any, comparison: Comparison = BY_VALUE, content_type: str = "application/json") -> Case:
    body = instances if isinstance(instances, bytes) else json.dumps(instances).encode()
    return Case(Request(body, content_type), Expected(b"null", comparison=comparison), "")


@pytest.fixture
def decide(tmp_path: Path) -> Decide:
    def decider(
        prediction: str = "data @ model",
        *cases: Case,
        program: str = PROGRAM,
        size: str = "8",
        **environ: str,
    ) -> tuple[Service, str]:
        archives.program(tmp_path, program.replace("PREDICTION", prediction))
        if cases:
            golden.write(cases, tmp_path / golden.FILE)
        handler = load(tmp_path, {"SAGEMAKER_TS_BATCH_SIZE": size, **environ}, DIGITS)
        handler.warm_up()
        app = create_app(handler, Identity("a", "b"), Limits(1, 60), cases=golden_cases.read(tmp_path))
        service: Service = app.extensions[SERVICE]
        return service, service.decide_batching() or ""

    return decider


def test_a_program_that_answers_the_same_in_batches_is_batched(decide: Decide) -> None:
    service, sentence = decide("data @ model", *map(case, DIFFERENT))

    assert sentence == (
        "batching is on, up to 8 rows: 2 golden requests are answered together as they are alone"
    )
    assert service.handler.joining is not None


@pytest.mark.parametrize(
    ("prediction", "says"),
    [
        (  # a network in training mode: each answer depends on the whole batch
            "(data @ model - (data @ model).mean(0)) * 3",
            "golden case 0 is answered otherwise in a batch of 2 requests than alone: $.scores[0][0] is -18.0, not 0.0",
        ),
        (
            "(data @ model).softmax(0)",
            "golden case 0 is answered otherwise in a batch of 2 requests than alone",
        ),
        ("data.argmax(0)", "in a batch of 2 requests the prediction is Tensor of shape (2,) for 3 rows"),
        (
            "data.mean().view(1, 1)",
            "in a batch of 2 requests the prediction is Tensor of shape (1, 1) for 3 rows",
        ),
        (
            "data @ model / (1 // (len(data) != 3))",
            "the golden requests fail in a batch of 2 requests: ZeroDivisionError",
        ),
        (  # a memory that holds less than a full batch
            "data @ model if len(data) < 7 else 1 / 0",
            "the golden requests fail in a batch of 5 requests: ZeroDivisionError",
        ),
        ("(data, len(data))", "golden case 0 fails: AttributeError"),
    ],
)
def test_one_that_answers_otherwise_is_not_and_the_first_difference_is_named(
    decide: Decide, prediction: str, says: str
) -> None:
    service, sentence = decide(prediction, *map(case, DIFFERENT))

    assert sentence.startswith(f"batching is off: {says}"), sentence
    assert "\n" not in sentence
    assert service.handler.joining is None


def test_answers_may_differ_by_the_cases_tolerance(decide: Decide) -> None:
    rounded = "(data @ model) * (1 + 1e-3 * (len(data) > 2))"

    assert "answered otherwise" in decide(rounded, *map(case, DIFFERENT))[1]
    loose = Comparison("json", relative=1e-2)
    assert "batching is on" in decide(rounded, *(case(each, loose) for each in DIFFERENT))[1]


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        ([], "the archive has no golden.jsonl to check it with"),
        ([case([[1, 2]])], "of the golden requests no two can be joined"),
        ([case([[1, 2]]), case([[1, 2]])], "of the golden requests no two can be joined"),
        ([case([[1, 2]]), case(3)], "of the golden requests no two can be joined"),
        (
            [case(each, Comparison("shape")) for each in DIFFERENT],
            "of the golden requests no two can be joined; it takes two different ones, compared by value",
        ),
        (
            [case([[1, 2]] * 5), case([[3, 4]] * 5)],
            "no two different golden requests fit into a batch of 8 rows",
        ),
    ],
)
def test_without_golden_requests_that_prove_it_there_is_no_batching(
    decide: Decide, cases: list[Case], says: str
) -> None:
    program = PROGRAM.replace("PREDICTION", "data @ model if data.ndim else data")

    assert decide("", *cases, program=program)[1].startswith(f"batching is off: {says}")


def test_only_what_golden_requests_have_the_structure_of_is_joined(decide: Decide) -> None:
    program = PROGRAM.replace(
        "dtype=torch.float32", "dtype=torch.float64 if 'double' in content_type else torch.float32"
    )
    service, _ = decide("data.float() @ model", *map(case, DIFFERENT), program=program)
    joining = service.handler.joining
    assert joining is not None

    assert joining.kind(service.decode(b"[[1, 2]]", "application/json")) is not None
    assert joining.kind(service.decode(b"[[1, 2]]", "application/double")) is None


def test_of_many_golden_requests_the_first_are_asked(decide: Decide) -> None:
    assert "32 golden requests" in decide("data @ model", *(case([[number, 1]]) for number in range(40)))[1]


def test_a_refusal_among_the_golden_requests_is_not_asked(decide: Decide) -> None:
    refused = replace(case(b"no JSON"), expected=Expected(None, status=400))

    assert "2 golden requests" in decide("data @ model", *map(case, DIFFERENT), refused)[1]


def test_arrays_in_and_out_are_checked_too(decide: Decide, tmp_path: Path) -> None:
    def npy(*rows: list[float]) -> bytes:
        file = io.BytesIO()
        np.save(file, np.array(rows, dtype=np.float32))
        return file.getvalue()

    program = "def model_fn(d): pass\ndef predict_fn(data, model): return {'doubled': data * 2}"
    cases = [
        Case(Request(npy(*rows), "application/x-npy", accept="application/x-npz"), Expected(None), "")
        for rows in ([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]])
    ]

    assert "batching is on" in decide("", *cases, program=program)[1]


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("def transform_fn(m, b, c, a): return b", "transform_fn decodes and encodes as well"),
        (
            "def predict_fn(data, model, context): return data",
            "predict_fn takes a context, which is of one request",
        ),
    ],
)
def test_a_program_that_cannot_be_asked_for_several_says_why(decide: Decide, program: str, says: str) -> None:
    program = f"def model_fn(d): pass\n{program}"

    assert decide("", *map(case, DIFFERENT), program=program)[1] == f"batching is off: {says}"


def test_without_the_variable_nothing_is_asked_twice(decide: Decide) -> None:
    service, sentence = decide("1 / 0", *map(case, DIFFERENT), size="")

    assert (service.handler.joining, sentence) == (None, "")


TOKENS = """
import json
import torch

def model_fn(d): pass
def input_fn(body, content_type):
    ids = torch.tensor(json.loads(body))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
def predict_fn(data, model): return PREDICTION
def output_fn(prediction, accept): return json.dumps(prediction.tolist())
"""
WITH_MASK = "(data['input_ids'] * data['attention_mask']).sum(1)"
PADDING = "input_ids=5,attention_mask=0"


@pytest.mark.parametrize(
    ("prediction", "texts", "padding", "says"),
    [
        (WITH_MASK, ([[1, 2]], [[3, 4, 5]]), PADDING, "batching is on"),
        (WITH_MASK, ([[1, 2]], [[3, 4, 5]]), "", "of the golden requests no two can be joined"),
        (WITH_MASK, ([[1, 2]], [[3, 4]]), PADDING, "no two golden requests differ in length"),
        (WITH_MASK, ([[1, 2]], [[3, 4]]), "", "batching is on"),
        (
            "data['input_ids'].sum(1)",  # without a look at the mask
            ([[1, 2]], [[3, 4, 5]]),
            PADDING,
            "golden case 0 is answered otherwise in a batch of 2 requests than alone: $[0] is 8, not 3",
        ),
    ],
)
def test_padding_is_tried_on_golden_requests_of_different_lengths(
    decide: Decide, prediction: str, texts: tuple[Any, Any], padding: str, says: str
) -> None:
    _, sentence = decide(prediction, *map(case, texts), program=TOKENS, SERVE_BATCH_PADDING=padding)

    assert says in sentence


@pytest.mark.parametrize("padding", ["input_ids", "input_ids=zero", "a=1=2"])
def test_a_padding_that_is_none_ends_the_start(decide: Decide, padding: str) -> None:
    with pytest.raises(BadLimit, match="SERVE_BATCH_PADDING: expected names with numbers"):
        decide("data", *map(case, DIFFERENT), SERVE_BATCH_PADDING=padding)
