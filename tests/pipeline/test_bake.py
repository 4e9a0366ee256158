"""The smoke test of a bake: whose answers it judges, how many it needs, and what it does about a wrong one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.aws import Answer
from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.bake import ENOUGH_ANSWERS, BakeSmoke, Golden, first_difference
from pipeline.errors import SmokeFailed
from pipeline.gates import Verdict

MakeEnv = Callable[..., Environment]
GOLDEN = Golden(tuple({"instance": [n], "prediction": {"label": n, "sure": 0.5}} for n in range(3)), 1e-4)


def smoke(share: float = 0.5) -> BakeSmoke:
    return BakeSmoke(GOLDEN, "new", share)


def answer(number: int, release: str = "new", **changes: Any) -> tuple[int, Answer]:
    prediction = {"label": number % 3, "sure": 0.50005} | changes
    return number, Answer(release, "i", json.dumps({"predictions": [prediction]}).encode())


def test_enough_right_answers_of_the_new_release_pass() -> None:
    test = smoke()
    test.judge_answers([answer(number) for number in range(ENOUGH_ANSWERS)], calls=20)

    assert test.gate().verdict is Verdict.PASSED
    assert test.wrong == []


def test_the_old_release_is_not_judged() -> None:
    test = smoke()
    test.judge_answers([answer(number, "old", label=9) for number in range(50)], calls=50)

    assert (test.judged, test.wrong) == (0, [])
    assert test.gate().verdict is Verdict.INCONCLUSIVE
    assert "0 answers of new in 50 calls, 10 are enough" in test.require_right("e").reason


@pytest.mark.parametrize("body", [b"{}", b"no json", b'{"predictions": []}', b"[]"])
def test_an_answer_that_is_no_prediction_is_wrong(body: bytes) -> None:
    test = smoke()
    test.judge_answers([(4, Answer("new", "i", body))], calls=1)

    assert test.wrong[0].startswith("golden case 1: no prediction in ")
    assert test.gate().verdict is Verdict.FAILED
    with pytest.raises(SmokeFailed, match="new is live on e, but failed its golden tests: golden case 1"):
        test.require_right("e")


def test_one_wrong_answer_vetoes_for_as_long_as_the_deployment_lasts(env: Environment) -> None:
    test = smoke()
    test.judge_answers([answer(1)], calls=1)
    assert test.veto(env, "config") is None
    test.judge_answers([answer(1, sure=0.6)], calls=1)
    calls = [test.veto(env, "config"), test.veto(env, "config")]

    assert all(call is not None and problem_of(call) is None for call in calls)
    assert "golden case 1: prediction.sure is 0.6, not 0.5" in str(calls[0])


def test_the_veto_is_seen_by_an_alarm_of_that_deployment(env: Environment) -> None:
    test = smoke()
    test.judge_answers([answer(1, label=2)], calls=1)
    call = test.veto(env, "config")
    (alarm,) = [each for each in alarms_of(env, "config") if each["AlarmName"].endswith("/smoke-veto")]

    assert call is not None
    (datum,) = call.params["MetricData"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (call.params["Namespace"], datum["MetricName"])
    assert alarm["Dimensions"] == datum["Dimensions"]
    assert datum["Value"] > alarm["Threshold"]


@pytest.mark.parametrize(("share", "most"), [(1.0, 40), (0.5, 80), (0.05, 800)])
def test_the_calls_that_are_judged_are_bounded_by_the_share_of_the_traffic(share: float, most: int) -> None:
    test = smoke(share)
    for _ in range(1000):
        test.judge_answers([], calls=8)

    assert most <= test.calls < most + 8


@pytest.mark.parametrize(
    ("wanted", "found", "where"),
    [
        (1.0, 1.00005, None),
        (1.0, 1.1, "prediction is 1.1, not 1.0"),
        (1.0, "1", "prediction is 1, not 1.0"),
        (1.0, None, "prediction is None"),
        (3, 4, "prediction is 4, not 3"),
        ([1.0, 2.0], [1.0, 2.5], "prediction[1] is 2.5"),
        ([1.0], [1.0, 2.0], "prediction is [1.0, 2.0]"),
        ({"a": 1}, {"b": 1}, "prediction is {'b': 1}"),
        ({"a": ["x", {"b": 0.5}]}, {"a": ["x", {"b": 0.75}]}, "prediction.a[1].b is 0.75"),
    ],
)
def test_the_first_difference_is_named(wanted: Any, found: Any, where: str | None) -> None:
    told = first_difference(wanted, found, 1e-4)

    assert told is None if where is None else str(told).startswith(where)


def test_golden_inputs_are_sent_in_turn(env: Environment) -> None:
    assert [json.loads(GOLDEN.body(n))["instances"] for n in range(4)] == [[[0]], [[1]], [[2]], [[0]]]


def test_a_golden_file_is_read() -> None:
    golden = Golden.parse(json.dumps({"cases": [{"instance": [1]}], "tolerance": 0.5}))

    assert (golden.tolerance, len(golden.cases)) == (0.5, 1)
    assert golden.fault_of(0, b"anything") is None, "no prediction is known"
