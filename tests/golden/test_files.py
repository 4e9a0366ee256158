"""Golden sets are read and written without loss; a faulty one is refused with file, line and fix."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import golden
from golden import Case, Comparison, Expected, GoldenError, Request

SCHEMA = json.loads((Path(golden.__file__).parent / "schema.json").read_text())
CASE = {"request": {"body": {"json": [1]}}, "answer": {"body": {"json": [2]}}}
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def parse(*lines: Any) -> golden.GoldenSet:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return golden.parse(text.encode(), "golden.jsonl")


def changed(**answer: Any) -> dict[str, Any]:
    return {"request": CASE["request"], "answer": CASE["answer"] | answer}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bodies = st.binary(max_size=40) | st.sampled_from(
        [b"[1, 2.5]", b"[1,2.5]", b"a,b\r\n", '{"é": "ü"}'.encode()]
    )
    comparison = Comparison(
        draw(st.sampled_from(["bytes", "shape"])),
        draw(st.floats(0, 9)),
        draw(st.floats(0, 9)),
        draw(st.sampled_from([(), ("$.a",)])),
    )
    body = draw(st.none() | bodies)
    return Case(
        Request(draw(bodies), draw(st.sampled_from(["image/png", "text/csv"])), draw(WORDS), draw(WORDS), draw(st.booleans())),
        Expected(body, draw(WORDS), draw(st.integers(100, 599)), comparison if body is not None else Comparison("bytes")),
        draw(WORDS),
    )  # fmt: skip


@given(st.lists(cases(), min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, written: list[Case]) -> None:
    path = tmp_path_factory.mktemp("golden") / "golden.jsonl"

    golden.write(written, path)

    assert list(golden.read(path)) == written
    for line in path.read_text().split("\n")[:-1]:
        jsonschema.validate(json.loads(line), SCHEMA)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is no JSON"),
        ([], "expected an object"),
        ({}, "the request has no body"),
        (CASE | {"tolerance": 1}, "has no tolerance; its keys are answer, name, request"),
        ({"request": {"body": [1]}}, "a body is"),
        ({"request": {"body": {"json": 1, "text": ""}}}, "a body is"),
        ({"request": {"body": {"base64": "%"}}}, "no base64"),
        ({"request": {"body": {"text": 1}}}, "a body of text is a string"),
        ({"request": {"body": {"json": 1}, "content_type": 1}}, "content_type is 1"),
        (changed(status="200"), 'status is "200"'),
        (changed(status=True), "status is true"),
        (changed(compare={"by": "eye"}), "compare by 'eye'"),
        (changed(compare={"absolute": -1}), "a tolerance is a number from 0 on"),
        (changed(compare={"absolute": float("nan")}), "a tolerance is a number from 0 on"),
        (changed(compare={"shape_paths": ["a"]}), "shape_paths are JSON paths"),
        (changed(body={"text": "no"}, compare={"by": "json"}), "cannot be compared by json"),
        (changed(body={"text": "no"}, compare={"by": "npy"}), "cannot be compared by npy"),
    ],
)
def test_a_faulty_line_is_refused_with_file_and_line(line: Any, what: str) -> None:
    with pytest.raises(GoldenError) as caught:
        parse(CASE, "", line)

    assert "golden.jsonl:3" in caught.value.what
    assert what in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", b"\xff", b'{"cases": []}', b'{"cases": [{"prediction": 1}]}']
)
def test_a_set_without_cases_is_refused(content: bytes) -> None:
    with pytest.raises(GoldenError, match=r"golden\.json"):
        golden.parse(content, "golden.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match="cannot be read"):
        golden.read(tmp_path / "golden.jsonl")


@pytest.mark.parametrize(
    ("body", "method"), [({"json": 1}, "json"), ({"text": "a"}, "text"), ({"base64": "AA=="}, "bytes")]
)
def test_a_body_is_compared_by_its_form_unless_the_case_says_how(body: Any, method: str) -> None:
    (case,) = parse(changed(body=body))

    assert case.expected.comparison.method == method


def test_the_older_golden_json_is_read() -> None:
    document = {
        "content_type": "application/json",
        "tolerance": 0.001,
        "cases": [{"instance": [1, 2], "prediction": {"label": 3}}, {"instance": [4, 5]}],
    }

    first, second = golden.parse(json.dumps(document).encode(), "golden.json")

    assert first.request.body == b'{"instances": [[1, 2]]}'
    assert first.expected.document == {"predictions": [{"label": 3}]}
    assert first.expected.comparison == Comparison("json", absolute=0.001)
    assert second.expected.body is None


def test_a_folder_prefers_the_newer_file(tmp_path: Path) -> None:
    assert golden.read_folder(tmp_path) is None
    (tmp_path / "golden.json").write_text('{"cases": [{"instance": [1]}]}')
    old = golden.read_folder(tmp_path)
    (tmp_path / "golden.jsonl").write_text(json.dumps(CASE))
    new = golden.read_folder(tmp_path)

    assert old is not None
    assert new is not None
    assert old.digest != new.digest
    assert new.cases[0].request.body == b"[1]"


def test_sets_of_the_same_requests_have_the_same_contract() -> None:
    assert parse(CASE).contract == parse(changed(body={"json": [9]})).contract
    assert parse(CASE).contract != parse({"request": {"body": {"json": [2]}}}).contract


def test_a_report_names_what_is_compared_by_shape_alone() -> None:
    loose = changed(compare={"by": "json", "shape_paths": ["$.at"]})

    assert parse(CASE).note == ""
    assert parse(CASE, loose).note == "1 of 2 golden cases are compared by shape alone, in part or whole"


def test_cases_are_named_for_people_and_begin_again() -> None:
    found = parse(CASE | {"name": "cat.png"}, CASE)

    assert found.label(2) == "golden case 0 (cat.png)"
    assert found.label(1) == "golden case 1"
    assert found.case(3) is found.cases[1]
