"""A candidate is asked what the live release was asked; too many other answers stop it."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import golden
from pipeline.account.bootstrap import bootstrap
from pipeline.aws.invocation import Answer
from pipeline.config import AnswerTolerance
from pipeline.deployment.deploy import deploy
from pipeline.gates import Verdict
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.agreement import agreement_gates, changed_answers, judge_agreement
from pipeline.verification.captured_requests import MOST_REQUESTS, captured_cases, parse_captured
from tests.pipeline.scene import endpoint_of, name_for, published
from tests.pipeline.stage import Stage

JSON = "application/json"


def captured(body: Any, answer: Any, at: str = "2026-11-30T12:00:00Z", **changes: Any) -> str:
    """Return a line as SageMaker's data capture writes it."""
    sides = {"endpointInput": body, "endpointOutput": answer}
    data = {
        side: {"observedContentType": JSON, "mode": side, "data": json.dumps(value), "encoding": "JSON"}
        for side, value in sides.items()
    }
    return json.dumps(
        {"captureData": data | changes, "eventMetadata": {"inferenceTime": at}, "eventVersion": "0"}
    )


@pytest.mark.parametrize(
    ("changed", "asked", "limit", "verdict"),
    [
        (0, 32, 5, Verdict.PASSED),
        (1, 32, 5, Verdict.PASSED),
        (2, 32, 5, Verdict.FAILED),
        (0, 0, 5, Verdict.INCONCLUSIVE),
    ],
)
def test_the_share_of_changed_answers_is_held_to_its_limit(
    changed: int, asked: int, limit: float, verdict: Verdict
) -> None:
    answers = [f"golden case {number}: $ is 1, not 2" for number in range(changed)]
    gate = judge_agreement(limit, "a-live-one", asked, 0, answers, why_not="nothing was asked")

    assert gate.verdict is verdict
    assert gate.measured == (pytest.approx(100 * changed / asked) if asked else None)


def test_a_failure_says_the_share_with_examples_and_how_many_are_of_clients() -> None:
    gate = judge_agreement(
        5, "a-live-one", 107, 75, [f"case {n}: $ is 1, not 2" for n in range(82)], why_not=""
    )

    assert gate.reason == (
        "82 of 107 answers are not those of a-live-one, 75 of them requests of clients: case 0: $ is 1, not 2; "
        "case 1: $ is 1, not 2; case 2: $ is 1, not 2; and 79 more"
    )


class Answering:
    """An endpoint that gives one answer to everything."""

    def __init__(self, answer: Any) -> None:
        self.answer = json.dumps(answer).encode()

    def invoke(self, *_: object) -> Answer:
        return Answer(None, None, self.answer, content_type=JSON)


@pytest.mark.parametrize(
    ("answer", "tolerance", "is_changed"),
    [
        ({"label": 5, "probability": 0.8}, AnswerTolerance(), True),
        ({"label": 5, "probability": 0.8}, AnswerTolerance(absolute=0.5), False),
        ({"label": 7, "probability": 0.9}, AnswerTolerance(absolute=0.5), True),
        ({"label": 5, "probability": 0.83}, AnswerTolerance(relative=0.1), False),
        ({"label": 5}, AnswerTolerance(absolute=9), True),
    ],
)
def test_an_answer_is_the_same_to_a_client_within_the_tolerance_of_the_config(
    answer: Any, tolerance: AnswerTolerance, is_changed: bool
) -> None:
    expected = golden.Expected(json.dumps({"label": 5, "probability": 0.9}).encode(), JSON)
    case = golden.Case(golden.Request(b"{}"), expected, name="a case")
    found = changed_answers([case], "e", Answering(answer), tolerance)  # type: ignore[arg-type]

    assert bool(found) == is_changed
    assert all(each.startswith("a case: $") for each in found)


def test_captured_requests_are_read_with_their_answers() -> None:
    image = {
        "data": base64.b64encode(b"\x00png").decode(),
        "encoding": "BASE64",
        "observedContentType": "image/png",
    }
    lines = [
        captured([1], {"label": 1}),
        captured([1], {"label": 1}, at="2026-11-30T11:59:59Z"),  # of the release before
        captured(None, 3, endpointInput=image),
        captured([1], {"label": 1}).replace("endpointOutput", "nothing"),
        "no json",
    ]
    since = 1796040000.0  # 12:00:00
    first, second = parse_captured("\n".join(lines), "k", since=since)

    assert (first.request, first.expected.document) == (golden.Request(b"[1]"), {"label": 1})
    assert (second.request.body, second.request.content_type) == (b"\x00png", "image/png")
    assert [first.name, second.name] == ["k:1", "k:3"]


@pytest.fixture
def pair(stage: Stage) -> tuple[Run, Run, Release]:
    """Return staging and production, with a release live in production whose golden answer is 1."""
    name = name_for(f"agreement {stage.folder}")
    production = stage.run_in(name)
    bootstrap(production)
    live = published(production, stage.folder / "models", "live", "predicts 1", prediction=1)
    deploy(live, production)
    endpoint = production.env.endpoint.model_copy(update={"name": f"{name}-s"})
    limits = production.env.limits.model_copy(update={"changed_answers_percent": 5.0})
    changes = {"name": "staging", "endpoint": endpoint, "limits": limits, "promotes_from": None}
    return replace(production, env=production.env.model_copy(update=changes)), production, live


@pytest.mark.starts_processes
@pytest.mark.parametrize(("predicts", "verdict"), [(1, Verdict.PASSED), (7, Verdict.FAILED)])
def test_a_candidate_is_asked_the_golden_requests_of_the_live_release(
    pair: tuple[Run, Run, Release], tmp_path: Path, predicts: int, verdict: Verdict
) -> None:
    """Its own golden set agrees with it: that is how a worse model passed every gate."""
    staging, production, live = pair
    candidate = published(staging, tmp_path, "candidate", f"predicts {predicts}", prediction=predicts)
    deploy(candidate, staging)
    (gate,) = agreement_gates(candidate, staging.env.endpoint.name, staging, production.env)

    assert gate.verdict is verdict, gate.reason
    assert live.id in gate.reason
    assert ("golden case 0: $.predictions[0] is 7, not 1" in gate.reason) == (verdict is Verdict.FAILED)


@pytest.mark.starts_processes
def test_a_candidate_is_asked_what_clients_asked_where_that_is_captured(
    pair: tuple[Run, Run, Release], tmp_path: Path
) -> None:
    staging, production, _ = pair
    candidate = published(staging, tmp_path, "candidate", "predicts 1", prediction=1)
    deploy(candidate, staging)
    capture = {"data_capture": {"percent": 100}}
    endpoint = type(production.env.endpoint).model_validate(production.env.endpoint.model_dump() | capture)
    capturing = production.env.model_copy(update={"endpoint": endpoint})
    lines = [captured([n], {"predictions": [9]}, at="2099-01-01T00:00:00Z") for n in range(MOST_REQUESTS + 1)]
    key = f"captured/{endpoint.name}/{endpoint.variant}/2099/01/01/00/a.jsonl"
    body = "\n".join(lines).encode()
    staging.aws.read("s3", "put_object", Bucket=production.env.aws.bucket, Key=key, Body=body)
    config = endpoint_of(production)["EndpointConfigName"]
    (gate,) = agreement_gates(candidate, staging.env.endpoint.name, staging, capturing)

    assert len(captured_cases(capturing, config, production.aws)) == MOST_REQUESTS
    assert captured_cases(capturing, "another-config", production.aws) == ()
    assert captured_cases(production.env, config, production.aws) == ()
    assert gate.verdict is Verdict.FAILED
    assert "100 of 101 answers are not those of" in gate.reason
    assert "100 of them requests of clients" in gate.reason


def test_without_a_limit_nobody_is_asked(account: Run, release: Release) -> None:
    assert agreement_gates(release, "e", account, account.env) == []
