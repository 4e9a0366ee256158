"""The smoke tests' comparison of answers, and the pipeline's reading of their report."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.gates import Verdict
from pipeline.verification.smoke import SmokeResult, judge_smoke, read_report
from smoke_tests.golden import Golden, differences

GOLDEN = Golden(
    content_type="application/json",
    tolerance=1e-3,
    instances=([0.0] * 64, [1.0] * 64),
    predictions=(
        {"label": 0, "probabilities": [0.9, 0.1]},
        {"label": 1, "probabilities": [0.2, 0.8]},
    ),
)


def answered(*changes: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    answers = [dict(each) for each in GOLDEN.predictions]
    for position, change in changes:
        answers[position] |= change
    return answers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered(), []),
        (answered((1, {"probabilities": [0.2009, 0.7991]})), []),
        (
            answered((1, {"probabilities": [0.21, 0.79]})),
            ["case 1: a probability is 0.01 off, 0.001 allowed"],
        ),
        (answered((0, {"label": 1})), ["case 0: label 1, golden 0"]),
        (
            answered((0, {"probabilities": [float("nan"), 0.1]})),
            ["case 0: a probability is nan off, 0.001 allowed"],
        ),
        (answered()[:1], ["2 instances were sent, 1 predictions came back"]),
    ],
)
def test_every_difference_from_the_golden_answers_is_named(
    answer: list[dict[str, Any]], expected: list[str]
) -> None:
    assert differences(GOLDEN, answer, range(2)) == expected


def test_a_request_holds_the_cases_asked_for() -> None:
    assert GOLDEN.body(1) == b'{"instances": [[' + b", ".join([b"1.0"] * 64) + b"]]}"


REPORT = """<testsuites><testsuite time="3.5">
  <testcase name="right"/>
  <testcase name="wrong"><failure message="AssertionError: case 3&#10;more">long</failure></testcase>
  <testcase name="broken"><error message="no endpoint"/></testcase>
  <testcase name="left out"><skipped message="why"/></testcase>
</testsuite></testsuites>"""


def test_the_report_gives_the_sentence_of_each_failure(tmp_path: Path) -> None:
    path = tmp_path / "smoke.xml"
    path.write_text(REPORT)
    result = read_report(path, "none")

    assert result.tests == 3
    assert result.failed == ("wrong: AssertionError: case 3", "broken: no endpoint")
    assert not result.passed
    assert judge_smoke(result).verdict is Verdict.FAILED
    assert "case 3" in judge_smoke(result).reason


@pytest.mark.parametrize("text", [None, "<testsuites><test", "<testsuites/>"])
def test_smoke_tests_that_did_not_run_prove_nothing(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "smoke.xml"
    if text is not None:
        path.write_text(text)
    result = read_report(path, "no report was written")

    assert not result.passed
    assert judge_smoke(result).verdict is Verdict.INCONCLUSIVE


def test_a_suite_without_failure_passes() -> None:
    assert judge_smoke(SmokeResult(18, (), 4.0, Path("smoke.xml"))).verdict is Verdict.PASSED
