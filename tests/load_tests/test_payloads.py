"""A sampled answer is compared with the golden one, not only with status 200."""

import json
from pathlib import Path

import pytest

from load_tests.payloads import Payload, PayloadError, WrongAnswerError, payloads, read_golden

GOLDEN = Path(__file__).parents[2] / "container/local_test/opt/ml/model/golden.json"


def test_the_committed_golden_set_is_what_load_tests_send() -> None:
    found = read_golden(GOLDEN)

    assert len(found) == len(json.loads(GOLDEN.read_text())["cases"])
    assert all(len(json.loads(payload.body)["instances"][0]) == 64 for payload in found)


def answer(label: int = 0, first: float = 1.0, count: int = 10) -> bytes:
    probabilities = [first] + [0.0] * (count - 1)
    return json.dumps({"predictions": [{"label": label, "probabilities": probabilities}]}).encode()


def test_an_answer_within_the_tolerance_is_right(golden: Path) -> None:
    read_golden(golden)[0].check(answer(first=0.99995))


@pytest.mark.parametrize(
    "wrong",
    [
        answer(label=1),
        answer(first=0.999),
        answer(first=float("nan")),
        answer(count=9),
        b"not json",
        b"[]",
        b'{"predictions": []}',
        b'{"predictions": [{"label": 0}]}',
    ],
)
def test_any_other_answer_is_wrong(golden: Path, wrong: bytes) -> None:
    payload = read_golden(golden)[0]

    with pytest.raises(WrongAnswerError):
        payload.check(wrong)


def test_a_golden_set_without_cases_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"content_type": "application/json", "tolerance": 1e-4, "cases": []}))

    with pytest.raises(PayloadError, match="has no cases"):
        payloads(str(path))


def test_a_file_of_bodies_is_sent_line_by_line_and_again_from_the_top(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("1,2\n\n3,4\n")
    found = payloads(str(path), "text/csv")

    assert [next(found) for _ in range(3)] == [
        Payload(b"1,2", "text/csv"), Payload(b"3,4", "text/csv"), Payload(b"1,2", "text/csv")
    ]  # fmt: skip


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
    found = payloads(f"{maker}:two")
    first, second, third = (next(found) for _ in range(3))

    assert (first.body, first.content_type) == (b'{"instances": [[1]]}', "application/json")
    assert second == Payload(b"1,2", "text/csv")
    assert third == first
    first.check(b"whatever")


def test_a_function_may_go_on_for_ever(maker: Path) -> None:
    found = payloads(f"{maker}:forever")

    assert [next(found).body for _ in range(3)] == [b"1", b"2", b"3"]


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
        next(payloads(str(maker.parent / source)))
