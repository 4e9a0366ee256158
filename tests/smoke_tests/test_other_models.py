"""The suite against models with programs of their own: it knows their golden requests, and nothing else of them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import golden
from pipeline.gates import Verdict
from pipeline.verification.smoke import judge_smoke, read_report
from tests.smoke_tests.conftest import ROOT, LiveEndpoint, Report, smoke
from tests.smoke_tests.programs import IMAGE, TEXT

pytestmark = pytest.mark.starts_processes

GOLDEN_TEST = "test_each_golden_request_gets_its_golden_answer"
ONLY_WITH_AN_API = "no API description: the model archive names none"


def require_sound(report: Report) -> None:
    assert not report.failures, report.output
    assert set(report.skips.values()) == {ONLY_WITH_AN_API}
    assert {name.partition("[")[0] for name in report.names - report.skips.keys()} == {
        GOLDEN_TEST,
        "test_bad_input_is_answered_and_the_next_request_as_before",
        "test_fifty_clients_at_once_each_get_their_own_answer",
        "test_each_instance_answers_and_all_with_the_same_release",
        "test_answers_come_within_the_latency_budget",
        "test_one_byte_more_is_refused_for_its_size",
        "test_the_endpoint_still_answers_afterwards",
        "test_the_sdk_describes_the_endpoint_as_in_service",
        "test_the_sdk_gets_a_golden_answer",
        "test_curl_gets_a_golden_answer",
    }


def test_a_text_program_passes_and_what_is_compared_by_shape_is_said(
    text_model: LiveEndpoint, tmp_path: Path
) -> None:
    path = tmp_path / "smoke.xml"
    report = smoke(text_model, path, "--release", "text")
    gate = judge_smoke(read_report(path, ""))

    require_sound(report)
    assert "1 of 3 golden cases are compared by shape alone" in report.output
    assert gate.verdict is Verdict.PASSED
    assert "1 of 3 golden cases are compared by shape alone" in gate.reason
    assert f"tests skipped: {ONLY_WITH_AN_API}" in gate.reason
    assert "answers bad input with 500" in gate.reason, "an exception of the program's own is a warning"


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("model", ["image"])
def test_a_program_for_images_passes_with_its_stream_and_its_refusal(
    image_model: LiveEndpoint, tmp_path: Path, model: str
) -> None:
    report = smoke(image_model, tmp_path / "smoke.xml", "--release", model)

    require_sound(report)


def test_a_wrong_answer_of_a_text_program_fails_by_line_with_both_values(
    text_model: LiveEndpoint, tmp_path: Path
) -> None:
    first, *others = TEXT.cases
    wrong = replace(first, expected=replace(first.expected, body=b"3,3.333333\n"))
    golden.write([wrong, *others], tmp_path / "golden.jsonl")
    options = ("--golden", str(tmp_path / "golden.jsonl"), "-k", "golden")
    report = smoke(text_model, tmp_path / "smoke.xml", *options)

    assert GOLDEN_TEST in report.failures
    assert "golden case 0 (some words.txt): line 1 is" in report.failures[GOLDEN_TEST]
    assert "3,3.333333" in report.failures[GOLDEN_TEST]


def test_the_image_programs_golden_set_has_a_stream_and_a_refusal() -> None:
    assert [case.request.is_stream for case in IMAGE.cases] == [False, False, True, False]
    assert not IMAGE.cases[-1].is_answered


def load(live: LiveEndpoint, folder: Path, cases: tuple[golden.Case, ...]) -> dict[str, Any]:
    """Send these golden requests for two seconds, and compare every answer; return the result."""
    golden.write(cases, folder / "golden.jsonl")
    phases = [{"name": "only", "seconds": 2, "requests_per_second": 20}]
    (folder / "schedule").write_text(json.dumps({"phases": phases}))
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless"]
    command += ["--exit-code-on-error", "0", "--endpoint", live.endpoint, "--check-every", "1"]
    command += ["--payloads", str(folder / "golden.jsonl")]
    command += ["--schedule", str(folder / "schedule"), "--result", str(folder / "result.json")]
    environ = {**os.environ, **live.environ}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def test_a_load_of_text_is_answered_as_the_golden_set_says(text_model: LiveEndpoint, tmp_path: Path) -> None:
    result = load(text_model, tmp_path, TEXT.cases)
    (phase,) = result["phases"]

    assert (phase["errors"], phase["failures"]) == ({}, 0)
    assert phase["requests"] >= 30
    assert list(result["identities"]) == ["text"]
    assert result["note"] == "1 of 3 golden cases are compared by shape alone, in part or whole"


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_a_load_of_images_and_streams_is_compared_byte_by_byte(
    image_model: LiveEndpoint, tmp_path: Path, wrong: bool
) -> None:
    cases = IMAGE.cases
    if wrong:
        cases = tuple(replace(case, expected=replace(case.expected, body=b"\0\0\0\0")) for case in cases)
    result = load(image_model, tmp_path, cases)
    (phase,) = result["phases"]

    assert phase["requests"] >= 30
    assert result["note"] == "1 of 4 golden cases are answered with an error and not sent"
    if not wrong:
        assert phase["errors"] == {}
        return
    assert phase["failures"] == phase["requests"]
    assert {sentence.partition(": 4 bytes")[0] for sentence in phase["errors"]} == {
        "WrongAnswerError: golden case 0 (3x5.png)",
        "WrongAnswerError: golden case 1 (300x2.png)",
        "WrongAnswerError: golden case 2 (7x9.png)",
    }
