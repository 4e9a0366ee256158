"""The smoke test of a bake: whose answers it judges, how many it needs, and what it does about a wrong one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from golden import Case, Comparison, Expected, GoldenSet, Request
from pipeline.aws import Answer
from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.bake import ENOUGH_ANSWERS, BakeSmoke, veto_call
from pipeline.errors import SmokeFailed
from pipeline.gates import Verdict

MakeEnv = Callable[..., Environment]
JSON_CASES = tuple(
    Case(
        Request(json.dumps({"text": "abc"[n]}).encode()),
        Expected(
            json.dumps({"label": n, "sure": 0.5}).encode(), comparison=Comparison("json", absolute=1e-4)
        ),
    )
    for n in range(3)
)
GOLDEN = GoldenSet(JSON_CASES, digest="0" * 64)


def smoke(golden: GoldenSet = GOLDEN) -> BakeSmoke:
    return BakeSmoke(golden, "new")


def answer(number: int, release: str = "new", **changes: Any) -> tuple[int, Answer]:
    prediction = {"label": number % 3, "sure": 0.50005} | changes
    return number, Answer(release, "i", json.dumps(prediction).encode())


def test_enough_right_answers_of_the_new_release_pass() -> None:
    test = smoke()
    test.judge_answers([answer(number) for number in range(ENOUGH_ANSWERS)])

    assert test.gate().verdict is Verdict.PASSED
    assert test.wrong == []


def test_the_old_release_is_not_judged() -> None:
    test = smoke()
    test.judge_answers([answer(number, "old", label=9) for number in range(50)])

    assert (test.judged, test.wrong) == (0, [])
    assert test.gate().verdict is Verdict.INCONCLUSIVE
    assert "0 answers of new, 10 are enough" in test.require_right("e").reason


@pytest.mark.parametrize("body", [b"no json", b"{}", b"[]"])
def test_another_answer_than_the_golden_one_is_wrong(body: bytes) -> None:
    test = smoke()
    test.judge_answers([(4, Answer("new", "i", body))])

    assert test.wrong[0].startswith("golden case 1: ")
    assert test.gate().verdict is Verdict.FAILED
    with pytest.raises(SmokeFailed, match="new is live on e, but failed its golden tests: golden case 1"):
        test.require_right("e")


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (Expected(b"a,1\n", "text/csv", comparison=Comparison("text")), b"a,1\n", b"a,2\n"),
        (Expected(b"\x00\x01", "image/png", comparison=Comparison("bytes")), b"\x00\x01", b"\x00\x02"),
        (Expected(b"[1, 2]", comparison=Comparison("shape")), b"[7, 8]", b"[7]"),
    ],
)
def test_an_answer_in_any_media_type_is_judged(expected: Expected, right: bytes, wrong: bytes) -> None:
    golden = GoldenSet((Case(Request(b"x", "text/plain"), expected),), digest="0" * 64)
    good, bad = smoke(golden=golden), smoke(golden=golden)
    good.judge_answers([(0, Answer("new", "i", right))])
    bad.judge_answers([(0, Answer("new", "i", wrong))])

    assert (good.judged, good.wrong) == (1, [])
    assert len(bad.wrong) == 1


def test_a_golden_set_compared_by_shape_alone_says_so_in_the_verdict() -> None:
    by_shape = Case(Request(b"x"), Expected(b"[1, 2]", comparison=Comparison("shape")))
    test = smoke(golden=GoldenSet((*JSON_CASES, by_shape), digest="0" * 64))
    test.judge_answers([answer(0) for _ in range(ENOUGH_ANSWERS)])

    assert "1 of 4 golden cases are compared by shape alone" in test.gate().reason


def test_an_error_without_a_release_is_judged_only_once_the_fleet_serves_alone() -> None:
    refused = Case(Request(b""), Expected(None, status=400))
    test = smoke(golden=GoldenSet((refused,), digest="0" * 64))
    answers = [(0, Answer(None, None, b"broken", status=500))]
    test.judge_answers(answers)
    before = list(test.wrong)
    test.judge_errors(answers)

    assert before == []
    assert test.wrong == ["golden case 0: status is 500, not 400: broken"]


def test_the_veto_is_seen_by_an_alarm_of_that_deployment(env: Environment) -> None:
    test = smoke()
    test.judge_answers([answer(1, label=2)])
    call = veto_call(env, "config", test.wrong)
    (alarm,) = [each for each in alarms_of(env, "config") if each["AlarmName"].endswith("/smoke-veto")]

    assert problem_of(call) is None
    assert "golden case 1: $.label is 2, not 1" in str(call)
    (datum,) = call.params["MetricData"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (call.params["Namespace"], datum["MetricName"])
    assert alarm["Dimensions"] == datum["Dimensions"]
    assert datum["Value"] > alarm["Threshold"]


def test_a_wrong_answer_is_seen_however_long_its_instance_took_to_launch() -> None:
    """Answers of the old release, while instances launch for minutes, use up nothing."""
    test = smoke()
    for _ in range(10_000):
        test.judge_answers([answer(0, "old")])
    test.judge_answers([answer(1, label=2)])

    assert test.gate().verdict is Verdict.FAILED
