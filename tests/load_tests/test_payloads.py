"""A sampled answer is compared with the golden one, not only with status 200."""

import json
from pathlib import Path

import pytest

from load_tests.payloads import WrongAnswerError, read_payloads

GOLDEN = Path(__file__).parents[2] / "container/local_test/opt/ml/model/golden.json"


def test_the_committed_golden_set_is_what_load_tests_send() -> None:
    payloads = read_payloads(GOLDEN)

    assert len(payloads) == len(json.loads(GOLDEN.read_text())["cases"])
    assert all(len(json.loads(payload.body)["instances"][0]) == 64 for payload in payloads)


def answer(label: int = 0, first: float = 1.0, count: int = 10) -> bytes:
    probabilities = [first] + [0.0] * (count - 1)
    return json.dumps({"predictions": [{"label": label, "probabilities": probabilities}]}).encode()


def test_an_answer_within_the_tolerance_is_right(golden: Path) -> None:
    read_payloads(golden)[0].check(answer(first=0.99995))


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
    payload = read_payloads(golden)[0]

    with pytest.raises(WrongAnswerError):
        payload.check(wrong)


def test_a_golden_set_without_cases_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"content_type": "application/json", "tolerance": 1e-4, "cases": []}))

    with pytest.raises(ValueError, match="has no cases"):
        read_payloads(path)
