"""The recorder chooses the strictest comparison that the answers of several askings pass, and says what moved."""

import json
from typing import Any

import numpy as np
import pytest

from golden import Answer, Case, Comparison, Expected, GoldenError, Request, first_difference
from golden.recording import Recorded, record_case
from tests.numpy_files import npy

JSON = "application/json"


def record(*bodies: bytes, content_type: str = JSON) -> Recorded:
    case = Case(Request(b"{}"), Expected(None), "case.json")
    return record_case(case, [Answer(200, content_type, body) for body in bodies])


def record_json(*documents: Any) -> Recorded:
    return record(*(json.dumps(document).encode() for document in documents))


def test_an_answer_that_never_moves_is_compared_whole() -> None:
    found = record_json({"score": 0.25}, {"score": 0.25})

    assert found.remark == ""
    assert found.case.expected.comparison == Comparison("json", absolute=1e-4, relative=1e-4)


def test_labels_and_counts_are_compared_exactly() -> None:
    found = record_json({"label": 20_001}, {"label": 20_001})

    assert found.case.expected.comparison == Comparison("json")


def test_numbers_that_move_a_little_get_a_wider_tolerance_and_are_named() -> None:
    found = record_json({"score": 100.0}, {"score": 100.5}, {"score": 99.8})

    assert found.case.expected.comparison.method == "json"
    assert 0.005 <= found.case.expected.comparison.relative <= 0.05
    assert found.remark.startswith("$.score is 100.5, not 100.0")


def test_a_time_is_compared_by_shape_and_the_rest_is_not() -> None:
    found = record_json({"at": "9:00", "label": 3}, {"at": "9:01", "label": 3})

    assert found.case.expected.comparison == Comparison("json", shape_paths=("$.at",))
    assert found.remark == '$.at is "9:01", not "9:00": compared by shape alone at $.at'
    assert (
        first_difference(found.case, Answer(200, JSON, b'{"at": "9:02", "label": 4}'))
        == "$.label is 4, not 3"
    )


def test_an_array_of_random_numbers_is_one_place() -> None:
    found = record_json({"noise": [0.1, 0.9], "label": 1}, {"noise": [0.7, 0.2], "label": 1})

    assert found.case.expected.comparison.shape_paths == ("$.noise",)


def test_nested_arrays_that_move_whole_are_one_place() -> None:
    found = record_json({"a": [[0.1], [0.9]], "b": 1.5}, {"a": [[0.7], [0.2]], "b": 1.5})

    assert found.case.expected.comparison.shape_paths == ("$.a",)


def test_a_single_element_that_moves_is_named_alone() -> None:
    found = record_json([1, "x", 3], [1, "y", 3])

    assert found.case.expected.comparison.shape_paths == ("$[1]",)


def test_what_moves_whole_is_compared_by_shape() -> None:
    assert record_json("a", "b").case.expected.comparison == Comparison("shape")
    assert record(b"once", b"twice", content_type="text/plain").case.expected.comparison == Comparison(
        "shape"
    )


def test_an_answer_whose_length_moves_is_compared_by_status_alone_and_says_so() -> None:
    found = record_json({"tokens": [1]}, {"tokens": [1, 2]})

    assert found.case.expected.body is None
    assert "its status and content type alone are compared" in found.remark


def test_csv_gets_a_tolerance_for_its_numbers() -> None:
    found = record(b"3,0.25\n", b"3,0.25\n", content_type="text/csv")

    assert found.case.expected.comparison.method == "text"
    assert first_difference(found.case, Answer(200, "text/csv", b"3,0.25001\n")) is None
    assert first_difference(found.case, Answer(200, "text/csv", b"4,0.25\n")) is not None


def test_arrays_and_bytes_are_known_by_their_content() -> None:
    assert record(npy(np.ones(2))).case.expected.comparison.method == "npy"
    assert record(b"\x89PNG\xff").case.expected.comparison.method == "bytes"


@pytest.mark.parametrize("other", [Answer(500, JSON, b"1"), Answer(200, "text/csv", b"1")])
def test_answers_of_another_status_or_type_are_refused(other: Answer) -> None:
    case = Case(Request(b"{}"), Expected(None), "case.json")

    with pytest.raises(GoldenError, match=r"case\.json: answered once with 200 application/json"):
        record_case(case, [Answer(200, JSON, b"1"), other])


@pytest.mark.parametrize(
    "documents",
    [
        [{"a": 0.1}, {"a": 0.1 + 1e-9}],
        [{"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}],
        [{"a b": "x"}, {"a b": "y"}],
        [[[1, 2], [3, 4]], [[1, 2], [3, 5]]],
        [{"a": None}, {"a": 1}],
        [1, [1]],
    ],
)
def test_every_answer_that_was_seen_passes_the_recorded_case(documents: list[Any]) -> None:
    found = record_json(*documents)

    for document in documents:
        assert first_difference(found.case, Answer(200, JSON, json.dumps(document).encode())) is None
