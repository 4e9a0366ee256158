"""A TorchScript model without a program: what no model can use is the caller's fault, with the place; the rest is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from torch import Tensor, nn

import golden
from digits.project import DIGITS
from golden import Case, Comparison, Expected, Request
from predictor import create_app
from serving.handlers import golden_cases
from serving.handlers.loading import load
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.numpy_files import npy, npz

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"
NPY, NPZ = "application/x-npy", "application/x-npz"
GOLDEN = [[1.0, 2.0, 3.0, 4.0]]


class Summing(nn.Module):
    """Sums rows of four numbers, and can be told to fail by a file's worth of state."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(4, 1))

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.weights


class Typed(nn.Module):
    """Returns types that some formats cannot hold."""

    def forward(self, rows: Tensor) -> dict[str, Tensor]:
        return {"a": rows}


class Half(nn.Module):
    """Returns bfloat16."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows.to(torch.bfloat16)


def serve(directory: Path, network: nn.Module | None = None, *, is_golden: bool = True) -> FlaskClient:
    directory.mkdir(exist_ok=True)
    torch.jit.script(network or Summing()).save(str(directory / "model.pt"))  # type: ignore[no-untyped-call]
    if is_golden:
        expected = Expected(b"[[10.0]]", comparison=Comparison("json"))
        golden.write([Case(Request(json.dumps(GOLDEN).encode()), expected)], directory / golden.FILE)
    handler = load(directory, {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"}, DIGITS)
    handler.warm_up()
    cases = golden_cases.read(directory)
    return create_app(handler, Identity("a", "b"), Limits(1, 60), cases=cases).test_client()


def ask(client: FlaskClient, body: bytes, kind: str = JSON, accept: str = JSON) -> Any:
    return client.post("/invocations", data=body, headers={"Content-Type": kind, "Accept": accept})


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        (JSON, b"[[1, NaN, 3, 4]]", "body[0][1]: expected a finite number in float32, got NaN"),
        (JSON, b"[[1, 2, null, 4]]", "body[0][2]: expected a finite number in float32, got null"),
        (
            JSON,
            b"[[1, 2, 3, 4], [1, 2, 3, 1e39]]",
            "body[1][3]: expected a finite number in float32, got 1e+39",
        ),
        (JSON, b"[]", "body: expected numbers, got an empty array of shape (0,)"),
        (JSON, b"[[]]", "body: expected numbers, got an empty array of shape (1, 0)"),
        (JSON, b"[[1, 2, 3]]", "body: the model refuses an array of shape (1, 3): mat1 and mat2 shapes"),
        (
            LINES,
            b"[1, 2, 3, 4]\n[1, 2, 3, 1e39]",
            "body[1][3]: expected a finite number in float32, got 1e+39",
        ),
        (CSV, b"1,2,3,inf", "body[3]: expected a finite number in float32, got Infinity"),
        (CSV, b"1,2,3,1e39", "body[3]: expected a finite number in float32, got Infinity"),
        (CSV, b"1,2,3", "body: the model refuses an array of shape (3,): "),
        (CSV, b"1,2,3,4\n\n\n1,2,x,4", "body: line 4, field 3: expected a number, got 'x'"),
        (CSV, b"1,2,3,4\n\r\n1,2,3", "body: line 3: expected 4 numbers, as in the first, got 3"),
        (CSV, "1,2,3,\u0664".encode(), "body: line 1, field 4: expected a number, got '\u0664'"),
        (CSV, b'1,2,3,"4"', "body: line 1, field 4: expected a number, got '\"4\"'"),
        (CSV, b"1,2,3,4_0", "body: line 1, field 4: expected a number, got '4_0'"),
        (NPY, npy([[1.0, np.inf, 3, 4]]), "body[0, 1]: expected a finite number, got inf"),
        (NPY, npy(np.ones((2, 5))), "body: the model refuses an array of shape (2, 5): "),
        (NPZ, npz(a=GOLDEN, b=GOLDEN), "body: the model refuses the arrays 'a', 'b': "),
        (NPZ, npz(a=[[np.nan]]), "'a'[0, 0]: expected a finite number, got nan"),
    ],
)
def test_what_the_model_cannot_use_is_a_400_with_the_place(
    tmp_path: Path, kind: str, body: bytes, says: str
) -> None:
    client = serve(tmp_path)

    answer = ask(client, body, kind)

    assert (answer.status_code, answer.json["error"][: len(says)]) == (400, says)
    assert ask(client, json.dumps(GOLDEN).encode()).json == [[10.0]]


def test_a_model_that_fails_on_its_golden_request_as_well_is_to_blame_itself(tmp_path: Path) -> None:
    client = serve(tmp_path)
    handler = client.application.extensions["service"].handler
    handler.model = torch.jit.script(nn.Linear(9, 9))

    assert ask(client, b"[[1, 2, 3]]").status_code == 500


def test_without_a_golden_request_nothing_shows_that_it_was_the_input(tmp_path: Path) -> None:
    assert ask(serve(tmp_path, is_golden=False), b"[[1, 2, 3]]").status_code == 500


def test_an_archive_of_arrays_is_unpacked_up_to_the_payload_limit(tmp_path: Path) -> None:
    body = npz(a=np.zeros((1_000_000, 4), dtype=np.float32))
    assert len(body) < 100_000

    answer = ask(serve(tmp_path), body, NPZ)

    assert answer.status_code == 400
    assert answer.json["error"].startswith("body: expected at most 1048576 bytes unpacked, got 16000")


@pytest.mark.parametrize(
    ("network", "accept", "expected"),
    [
        (Half(), JSON, b"[[1.0, 2.0]]"),
        (Half(), CSV, b"1.0,2.0\n"),
        (Half(), NPY, npy(np.array([[1, 2]], dtype=np.float32))),
        (Half(), LINES, b"[1.0, 2.0]\n"),
        (Typed(), JSON, b'{"a": [[1.0, 2.0]]}'),
        (Typed(), LINES, b'{"a": [[1.0, 2.0]]}\n'),
        (Typed(), CSV, 406),
        (Typed(), NPY, 406),
    ],
)
def test_a_prediction_is_answered_in_a_type_or_refused_with_406(
    tmp_path: Path, network: nn.Module, accept: str, expected: bytes | int
) -> None:
    answer = ask(serve(tmp_path, network, is_golden=False), b"[[1, 2]]", accept=accept)

    assert (answer.data if answer.status_code == 200 else answer.status_code) == expected


@pytest.mark.parametrize(
    ("kind", "body"), [(JSON, b"\xef\xbb\xbf[[1, 2, 3, 4]]"), (CSV, b"\xef\xbb\xbf1,2,3,4\n1,2,3,4\n")]
)
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, kind: str, body: bytes) -> None:
    assert ask(serve(tmp_path), body, kind).status_code == 200


@pytest.mark.parametrize(
    "accept", ["application/json; charset=utf-8", "text/html, application/json;v=1;q=0.5"]
)
def test_a_type_with_parameters_is_accepted(tmp_path: Path, accept: str) -> None:
    answer = ask(serve(tmp_path), json.dumps(GOLDEN).encode(), accept=accept)

    assert (answer.status_code, answer.json) == (200, [[10.0]])
