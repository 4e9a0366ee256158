"""The smoke tests' comparison of answers, their subject, and the pipeline's reading of their report."""

import json
from pathlib import Path

import pytest

import golden
from golden import Answer, Case, Comparison, Expected, Request
from pipeline.gates import Verdict
from pipeline.release import Release, Requirements
from pipeline.verification.smoke import SmokeResult, api_options, judge_smoke, read_report
from smoke_tests.expectations import difference, require_golden
from smoke_tests.openapi import DOCUMENT, digest, read_openapi
from smoke_tests.rows import read_rows
from smoke_tests.subject import find_subject
from tests.smoke_tests.conftest import MODEL
from tests.smoke_tests.programs import NO_IMAGE, text_case

NUMBERS = Case(Request(b"1"), Expected(b"[0.5]", "application/json", comparison=Comparison(absolute=0.01)))


def numbered(*cases: Case) -> golden.GoldenSet:
    return golden.GoldenSet(cases, "")


def test_only_the_first_five_differences_are_named_and_the_others_counted() -> None:
    wrong = Answer(200, "application/json", b"[0.6]")

    with pytest.raises(AssertionError) as failed:
        require_golden(numbered(*[NUMBERS] * 7), [(number, wrong) for number in (*range(7), 0)])

    message = str(failed.value).splitlines()[0]
    assert message.startswith("golden case 0: $[0] is 0.6, not 0.5 ± 0.01; ")
    assert message.count("$[0]") == 5
    assert message.endswith("; and 2 more")


def test_a_verdict_begins_with_the_first_three_failures_and_counts_the_others() -> None:
    gate = judge_smoke(SmokeResult(9, ("a: 1", "b: 2", "c: 3", "d: 4", "e: 5"), 4.0, Path("smoke.xml")))

    assert gate.reason == "a: 1; b: 2; c: 3; and 2 more"


def test_answers_within_the_tolerance_are_right() -> None:
    require_golden(numbered(NUMBERS), [(0, Answer(200, "application/json", b"[0.505]"))])


def test_a_success_that_sagemaker_answers_with_200_is_the_golden_201() -> None:
    case = Case(Request(b"1"), Expected(b"made", status=201, comparison=Comparison("text")))

    assert difference(case, Answer(200, "", b"made")) is None
    assert difference(case, Answer(500, "", b"made")) == "status is 500, not 201: made"


def test_an_answer_of_an_expected_refusal_is_no_right_one() -> None:
    assert difference(NO_IMAGE, Answer(200, "", b"no PNG")) == "status is 200, not 400: no PNG"


def test_the_digest_of_this_projects_api_is_the_one_in_its_model_archive() -> None:
    recorded = json.loads((MODEL / "engines.json").read_text())["request_response"]

    assert digest(read_openapi(DOCUMENT).document) == recorded


def test_a_golden_set_alone_comes_without_an_api_description(tmp_path: Path) -> None:
    golden.write([text_case("a b")], tmp_path / "golden.jsonl")
    subject = find_subject("nowhere", tmp_path / "golden.jsonl", None)

    assert subject.api is None
    assert subject.note == "no API description: --golden was given without --openapi"


def test_golden_requests_of_another_api_give_no_rows() -> None:
    texts = Case(Request(b'{"texts": ["a"]}'), Expected(b'{"predictions": [[0.5]]}'))
    api = read_openapi(DOCUMENT)

    assert read_rows(numbered(NUMBERS, text_case("a b"), texts), api) is None


def test_the_rows_of_this_project_are_all_instances_of_its_golden_set() -> None:
    golden_set = golden.read_folder(MODEL)
    assert golden_set is not None
    rows = read_rows(golden_set, read_openapi(DOCUMENT))

    assert rows is not None
    assert json.loads(rows.case().request.body)["instances"] == list(rows.instances)
    assert len(rows.predictions) == len(rows.instances) > 1


REPORT = """<testsuites><testsuite time="3.5">
  <properties><property name="note" value="1 of 3 golden cases are compared by shape alone, in part or whole"/>
  </properties>
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


SKIPPED = '<testcase name="api"><skipped message="no API description"/></testcase>'


def read(text: str, tmp_path: Path) -> SmokeResult:
    (tmp_path / "smoke.xml").write_text(text)
    return read_report(tmp_path / "smoke.xml", "none")


def test_tests_that_do_not_apply_are_no_failures_and_the_verdict_says_why(tmp_path: Path) -> None:
    report = f"<testsuites><testsuite>{SKIPPED * 2}<testcase name='right'/></testsuite></testsuites>"
    result = read(report, tmp_path)
    gate = judge_smoke(result)

    assert (result.tests, gate.verdict) == (1, Verdict.PASSED)
    assert gate.reason == "every smoke test passed; 2 tests skipped: no API description"


def test_a_suite_of_skipped_tests_alone_proves_nothing(tmp_path: Path) -> None:
    result = read(f"<testsuites><testsuite>{SKIPPED}</testsuite></testsuites>", tmp_path)

    assert not result.passed
    assert judge_smoke(result).verdict is Verdict.INCONCLUSIVE


def test_the_note_of_the_golden_set_is_in_the_verdict(tmp_path: Path) -> None:
    report = REPORT.replace("failure", "system-out").replace("error", "system-err")
    note = "1 of 3 golden cases are compared by shape alone, in part or whole"
    gate = judge_smoke(read(report, tmp_path))

    assert gate.verdict is Verdict.PASSED
    assert gate.reason == f"every smoke test passed; {note}; 1 tests skipped: why", "each once"


@pytest.mark.starts_processes
def test_the_api_description_is_named_only_for_weights_that_were_made_for_it() -> None:
    ours = digest(read_openapi(DOCUMENT).document)

    assert api_options(release(Requirements(request_response=ours))) == ["--openapi", str(DOCUMENT)]
    assert api_options(release(Requirements(request_response="beef"))) == []
    assert api_options(release(None)) == []


def release(fits: Requirements | None) -> Release:
    """Return a release whose weights have these requirements; nothing else of it is read."""
    image = {"uri": "digits", "digest": f"sha256:{'a' * 64}", "tag": "b" * 40, "stand_in": False}
    weights = {"uri": "s3://bucket/model.tar.gz", "sha256": "c" * 64, "bytes": 1, "fits": fits}
    document = {
        "schema": 1,
        "id": f"{'a' * 12}-{'c' * 8}",
        "image": image,
        "weights": weights,
        "commit": None,
    }
    return Release.model_validate(
        {**document, "dirty": False, "run_url": None, "created": "2026-11-30T00:00:00Z"}
    )
