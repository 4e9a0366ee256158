"""The comparer names the first difference by its place, with both values, and no difference where there is none."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import Answer, Case, Comparison, Expected, Request, first_difference
from tests.numpy_files import npy, npz

JSON = "application/json"


def difference(expected: bytes, found: bytes, comparison: Comparison, content_type: str = JSON) -> str | None:
    case = Case(Request(b"{}"), Expected(expected, content_type, comparison=comparison))
    return first_difference(case, Answer(200, content_type, found))


def json_difference(expected: Any, found: Any, **options: Any) -> str | None:
    comparison = Comparison("json", **options)
    return difference(json.dumps(expected).encode(), json.dumps(found).encode(), comparison)


@pytest.mark.parametrize(
    ("expected", "found", "options", "sentence"),
    [
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.5]}, {}, "$.a[1] is 2.5, not 2.0"),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.5]}, {"absolute": 0.1}, "$.a[1] is 2.5, not 2.0 ± 0.1"),
        ([100.0], [111.0], {"relative": 0.1}, "$[0] is 111.0, not 100.0 ± 10"),
        ({"a": "cat"}, {"a": "dog"}, {"absolute": 9.0}, '$.a is "dog", not "cat"'),
        ([1, 2], [1, 2, 3], {}, "$ has 3 elements, not 2"),
        ({"a": 1}, {"a": 1, "b": 2}, {}, "$ has b, which the golden answer lacks"),
        ({"a": 1}, {}, {}, "$ lacks a"),
        ({"a b": 1}, {"a b": 2}, {}, '$["a b"] is 2, not 1'),
        (1, True, {"absolute": 1.0}, "$ is true, not 1"),
        (None, 0, {"absolute": 1.0}, "$ is 0, not null"),
        ([0.5], [float("nan")], {"absolute": 1.0}, "$[0] is NaN, not 0.5 ± 1"),
        ({"at": "9:00", "x": 1}, {"at": "9:01", "x": 2}, {"shape_paths": ("$.at",)}, "$.x is 2, not 1"),
        ({"at": "9:00"}, {"at": None}, {"shape_paths": ("$.at",)}, '$.at is null, not "9:00"'),
    ],
)
def test_a_difference_in_json_is_named_by_its_path(
    expected: Any, found: Any, options: dict[str, Any], sentence: str
) -> None:
    assert json_difference(expected, found, **options) == sentence


@pytest.mark.parametrize(
    ("expected", "found", "options"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, {}),
        ([1.0], [1.05], {"absolute": 0.1}),
        ([1000.0], [1050.0], {"relative": 0.1}),
        ([float("nan")], [float("nan")], {}),
        ({"at": {"time": "9:00"}}, {"at": {"time": "9:01"}}, {"shape_paths": ("$.at",)}),
    ],
)
def test_json_answers_within_the_tolerance_agree(expected: Any, found: Any, options: dict[str, Any]) -> None:
    assert json_difference(expected, found, **options) is None


@given(st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 0.5), st.floats(0, 3))
def test_a_number_may_differ_by_absolute_plus_relative_of_the_golden_one(
    golden: float, absolute: float, relative: float, factor: float
) -> None:
    allowed = absolute + relative * abs(golden)
    found = golden + factor * allowed

    agrees = json_difference(golden, found, absolute=absolute, relative=relative) is None

    assert agrees == (abs(found - golden) <= allowed)


def test_a_body_that_is_no_json_is_shown() -> None:
    found = difference(b"[1]", b"Internal error", Comparison("json"))

    assert found == "the answer is no JSON: Internal error"


def test_status_comes_first() -> None:
    case = Case(Request(b"{}"), Expected(b"[1]", JSON))

    found = first_difference(case, Answer(500, JSON, b'{"error":"no"}'))

    assert found == 'status is 500, not 200: {"error":"no"}'


def test_content_types_are_compared_without_parameters() -> None:
    case = Case(Request(b"{}"), Expected(b"[1]", "application/json"))

    assert first_difference(case, Answer(200, "Application/JSON; charset=utf-8", b"[1]")) is None
    assert first_difference(case, Answer(200, "text/csv", b"[1]")) is not None


def test_without_a_golden_body_only_the_status_is_compared() -> None:
    case = Case(Request(b"{}"), Expected(None))

    assert first_difference(case, Answer(200, "text/plain", b"anything")) is None
    assert first_difference(case, Answer(400, "text/plain", b"anything")) is not None


@pytest.mark.parametrize(
    ("expected", "found", "absolute", "sentence"),
    [
        (b"a\nb\n", b"a\nb\n", 0.0, None),
        (b"a\nb\n", b"a\nc\n", 0.0, 'line 2 is "c", not "b"'),
        (b"3,0.25\n", b"3,0.26\n", 0.02, None),
        (b"3,0.25\n", b"3,0.28\n", 0.02, 'line 1 is "3,0.28", not "3,0.25"'),
        (b"3,cat\n", b"3,dog\n", 0.02, 'line 1 is "3,dog", not "3,cat"'),
        (b"1\n2\n", b"1\n", 0.0, "the answer has 1 lines, not 2"),
        (b"1\n", b"1\r\n", 0.0, "the line endings are not the golden ones"),
        (b"1\n", b"\xff", 0.0, "the answer is no text: 1 bytes beginning with ff"),
    ],
)
def test_text_is_compared_by_line(
    expected: bytes, found: bytes, absolute: float, sentence: str | None
) -> None:
    assert difference(expected, found, Comparison("text", absolute=absolute), "text/csv") == sentence


def test_bytes_differ_from_a_byte_on() -> None:
    assert (
        difference(b"abc", b"abd", Comparison("bytes")) == "3 bytes differ from the golden 3 from byte 2 on"
    )
    assert (
        difference(b"abc", b"abcd", Comparison("bytes")) == "4 bytes differ from the golden 3 from byte 3 on"
    )


@pytest.mark.parametrize("kind", ["<f4", ">f8", "<f2", "<i8", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_differ_at_an_index(kind: str, order: Any) -> None:
    golden = np.zeros((2, 3), dtype=kind, order=order)
    found = golden.copy(order=order)
    found[1, 2] = 1

    assert difference(npy(golden), npy(golden.copy()), Comparison("npy")) is None
    sentence = difference(npy(golden), npy(found), Comparison("npy", absolute=0.5))
    assert sentence is not None
    assert sentence.startswith("[1, 2] is ")


def test_arrays_of_another_type_or_shape_differ() -> None:
    golden = npy(np.zeros((2, 3), dtype=np.float32))

    found = difference(golden, npy(np.zeros((3, 2), dtype=np.float32)), Comparison("npy", absolute=9.0))

    assert found == "the array is f4 of shape (3, 2), not f4 of shape (2, 3)"


def test_the_arrays_of_an_npz_are_compared_by_name() -> None:
    golden = npz(a=np.ones(2), b=np.ones(2))

    assert (
        difference(golden, npz(a=np.ones(2), b=np.ones(2) * 1.01), Comparison("npy", relative=0.02)) is None
    )
    assert difference(golden, npz(a=np.ones(2), b=np.zeros(2)), Comparison("npy")) == "b[0] is 0.0, not 1.0"
    assert difference(golden, npz(a=np.ones(2)), Comparison("npy")) == "the arrays are a, not a, b"


def test_an_answer_that_is_no_array_is_named() -> None:
    assert (
        difference(npy(np.ones(2)), b"[1, 1]", Comparison("npy"))
        == "the answer is no array: it begins with b'[1, 1]'"
    )


def test_pickled_objects_are_never_read() -> None:
    pickled = npy(np.array([{}], dtype=object))

    found = difference(npy(np.ones(1)), pickled, Comparison("npy"))

    assert found is not None
    assert "not compared" in found


def test_by_shape_values_may_differ_but_types_keys_and_lengths_may_not() -> None:
    golden = b'{"text": "a", "scores": [0.1, 0.2]}'

    assert difference(golden, b'{"text": "longer", "scores": [7, 8]}', Comparison("shape")) is None
    assert difference(golden, b'{"text": 1, "scores": [7, 8]}', Comparison("shape")) == '$.text is 1, not "a"'
    assert (
        difference(golden, b'{"text": "", "scores": [7]}', Comparison("shape"))
        == "$.scores has 1 elements, not 2"
    )


def test_by_shape_arrays_keep_type_and_shape() -> None:
    golden = npy(np.zeros((2, 2)))

    assert difference(golden, npy(np.ones((2, 2))), Comparison("shape")) is None
    assert difference(golden, npy(np.ones((1, 2))), Comparison("shape")) is not None


def test_by_shape_a_text_may_not_become_empty() -> None:
    assert difference(b"once", b"twice", Comparison("shape"), "text/plain") is None
    assert difference(b"once", b" ", Comparison("shape"), "text/plain") == "the answer is empty"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_every_json_answer_agrees_with_itself(document: Any) -> None:
    spaced = json.dumps(document, indent=1).encode()

    assert difference(json.dumps(document).encode(), spaced, Comparison("json")) is None
    assert difference(json.dumps(document).encode(), spaced, Comparison("shape")) is None
