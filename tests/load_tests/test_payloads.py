"""A sampled answer is compared with the golden one, not only with status 200."""

import json
from pathlib import Path

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from load_tests.payloads import Payload, PayloadError, WrongAnswerError, open_source

MODEL = Path(__file__).parents[2] / "container/local_test/opt/ml/model"
JSON = "application/json"
TEXT = Comparison("text")
CSV = Case(
    Request(b"a b", "text/plain", "text/csv", "who=me"),
    Expected(b"1,2\n", "text/csv", comparison=TEXT),
    "words",
)
REFUSED = Case(Request(b"", "text/plain"), Expected(b"no words", status=400, comparison=TEXT))
BY_SHAPE = Case(Request(b"now"), Expected(b"[1.5]", JSON, comparison=Comparison("shape")))


def sent(source: Path, number: int = 1, content_type: str = JSON) -> list[Payload]:
    found = open_source(str(source), content_type).payloads
    return [next(found) for _ in range(number)]


def written(folder: Path, *cases: Case, name: str = "golden.jsonl") -> Path:
    golden.write(cases, folder / name)
    return folder / name


def test_the_committed_golden_set_is_what_load_tests_send() -> None:
    golden_set = golden.read_folder(MODEL)
    assert golden_set is not None
    found = sent(MODEL, len(golden_set.answered))

    assert [payload.request for payload in found] == [case.request for case in golden_set.answered]


def answer(label: int = 0, first: float = 1.0, count: int = 10) -> bytes:
    probabilities = [first] + [0.0] * (count - 1)
    return json.dumps({"predictions": [{"label": label, "probabilities": probabilities}]}).encode()


def test_an_answer_within_the_tolerance_is_right(golden_file: Path) -> None:
    sent(golden_file)[0].check(JSON, answer(first=0.99995))


@pytest.mark.parametrize(
    ("wrong", "difference"),
    [
        (answer(label=1), "$.predictions[0].label is 1, not 0 ± 0.0001"),
        (answer(first=0.999), "$.predictions[0].probabilities[0] is 0.999, not 1.0 ± 0.0001"),
        (answer(first=float("nan")), "$.predictions[0].probabilities[0] is NaN, not 1.0 ± 0.0001"),
        (answer(count=9), "$.predictions[0].probabilities has 9 elements, not 10"),
        (b"not json", "the answer is no JSON: not json"),
        (b"[]", "$ is [], not "),
        (b'{"predictions": []}', "$.predictions has 0 elements, not 1"),
        (b'{"predictions": [{"label": 0}]}', "$.predictions[0] lacks probabilities"),
    ],
)
def test_of_any_other_answer_the_first_difference_is_named(
    golden_file: Path, wrong: bytes, difference: str
) -> None:
    (payload,) = sent(golden_file)

    with pytest.raises(WrongAnswerError) as caught:
        payload.check(JSON, wrong)
    assert str(caught.value).startswith(f"golden case 0: {difference}")


def test_another_content_type_with_the_right_bytes_is_wrong_also_after_a_right_answer(
    golden_file: Path,
) -> None:
    (payload,) = sent(golden_file)
    payload.check(JSON, answer())

    with pytest.raises(WrongAnswerError, match="content type is text/csv, not application/json"):
        payload.check("text/csv", answer())


def test_a_wrong_answer_after_a_right_one_is_wrong(golden_file: Path) -> None:
    (payload,) = sent(golden_file)
    payload.check(JSON, answer())
    payload.check(JSON, answer())

    with pytest.raises(WrongAnswerError):
        payload.check(JSON, answer(label=1))


def test_random_wrong_answers_make_two_kinds_of_error_for_each_payload(golden_file: Path) -> None:
    (payload,) = sent(golden_file)
    sentences = set()
    for label in (1, 2, 1, 3):
        with pytest.raises(WrongAnswerError) as caught:
            payload.check(JSON, answer(label=label))
        sentences.add(str(caught.value))

    assert sentences == {
        "golden case 0: $.predictions[0].label is 1, not 0 ± 0.0001",
        "golden case 0: other differences from the golden answer",
    }


@pytest.mark.parametrize(("check_every", "payloads"), [(20, 20), (20, 19), (20, 8), (1, 3), (7, 2)])
def test_each_payload_is_checked_once_in_so_many_times(
    check_every: int, payloads: int, tmp_path: Path
) -> None:
    """Not some always and the others never, whatever the two numbers have in common."""
    found = sent(written(tmp_path, *[CSV] * payloads), payloads)
    due = [[payload.is_due(check_every) for payload in found] for _ in range(check_every)]

    assert [sum(each) for each in zip(*due, strict=True)] == [1] * payloads
    assert max(map(sum, due)) == -(-payloads // check_every), "not all in one round"


def test_without_checks_nothing_is_ever_due(golden_file: Path) -> None:
    (payload,) = sent(golden_file)

    assert not any(payload.is_due(0) for _ in range(3))


def test_a_golden_case_is_sent_in_its_own_media_types_with_its_attributes(tmp_path: Path) -> None:
    (payload,) = sent(written(tmp_path, CSV))
    payload.check("text/csv; charset=utf-8", b"1,2\n")

    assert payload.request.body == b"a b"
    assert payload.headers == {
        "Content-Type": "text/plain",
        "Accept": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "who=me",
    }


def test_a_stream_names_what_it_accepts_by_the_header_of_its_own_operation() -> None:
    payload = Payload(Request(b"a", "text/plain", accept="text/csv", is_stream=True))

    assert payload.headers == {"Content-Type": "text/plain", "X-Amzn-SageMaker-Accept": "text/csv"}


def test_cases_answered_with_an_error_are_not_sent_and_the_note_says_so(tmp_path: Path) -> None:
    source = open_source(str(written(tmp_path, REFUSED, CSV, BY_SHAPE)))

    assert [next(source.payloads).label for _ in range(3)] == [
        "golden case 1 (words)", "golden case 2", "golden case 1 (words)"
    ]  # fmt: skip
    assert source.note == (
        "1 of 2 golden cases are compared by shape alone, in part or whole; "
        "1 of 3 golden cases are answered with an error and not sent"
    )


def test_a_set_that_is_compared_whole_has_no_note(golden_file: Path) -> None:
    assert open_source(str(golden_file)).note == ""


def test_a_golden_set_of_errors_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="no golden case is answered with a success"):
        open_source(str(written(tmp_path, REFUSED)))


def test_a_golden_set_without_cases_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"content_type": JSON, "tolerance": 1e-4, "cases": []}))

    with pytest.raises(PayloadError, match="has no cases"):
        open_source(str(path))


def test_a_folder_without_a_golden_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match=r"has no golden\.jsonl"):
        open_source(str(tmp_path))


def test_a_jsonl_file_of_bodies_is_no_golden_set_and_the_error_says_how_to_send_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instances": [[1]]}\n')

    with pytest.raises(
        PayloadError, match=r"rows\.jsonl:1 has no instances(.|\n)*give the file another extension"
    ):
        open_source(str(path))


def test_a_file_of_bodies_is_sent_line_by_line_and_again_from_the_top(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("1,2\n\n3,4\n")

    assert [payload.request for payload in sent(path, 3, "text/csv")] == [
        Request(b"1,2", "text/csv"), Request(b"3,4", "text/csv"), Request(b"1,2", "text/csv")
    ]  # fmt: skip


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\n")

    with pytest.raises(PayloadError, match="has no lines"):
        open_source(str(tmp_path / "rows.csv"))


MAKER = """
def two():
    yield {"instances": [[1]]}
    yield b"1,2", "text/csv"

def forever():
    number = 0
    while True:
        number += 1
        yield str(number)

def nothing():
    return []

def wrong():
    yield 1, 2, 3
"""


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    path = tmp_path / "maker.py"
    path.write_text(MAKER)
    return path


def test_a_users_function_says_what_is_sent_and_is_called_again_when_it_has_ended(maker: Path) -> None:
    first, second, third = sent(Path(f"{maker}:two"), 3)

    assert first.request == third.request == Request(b'{"instances": [[1]]}', JSON)
    assert second.request == Request(b"1,2", "text/csv")
    first.check(JSON, b"whatever")


def test_a_function_may_go_on_for_ever(maker: Path) -> None:
    assert [payload.request.body for payload in sent(Path(f"{maker}:forever"), 3)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("maker.py:nobody", "has no function 'nobody'"),
        ("maker.py:nothing", "yielded nothing"),
        ("maker.py:wrong", "not \\(body, content type\\)"),
        ("nowhere.py:two", "is no Python file"),
        ("nowhere.txt", "cannot be read"),
    ],
)
def test_a_source_without_payloads_says_what_is_wrong(maker: Path, source: str, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        next(open_source(str(maker.parent / source)).payloads)
