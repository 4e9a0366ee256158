"""moto's own tests may fail for the written reasons alone; all of them are run by `make prove`."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from moto_suites.__main__ import FOLDER, NO_SOURCES, PAGE
from moto_suites.judgement import Difference, Ended, page, surprises, verdicts

REFUSED: Difference = {"reason": "refused", "says": "is not imitated", "tests": ["a/x::*", "a/y::test_one"]}
AS_WRITTEN = {
    "a/x::test_one[1]": Ended("failed", "One is not imitated"),
    "a/x::test_two": Ended("skipped", "not in server mode"),
    "a/y::test_one": Ended("failed", "Two is not imitated"),
    "a/y::test_two": Ended("passed"),
}


def test_failures_with_their_written_error_are_no_surprise() -> None:
    assert surprises(AS_WRITTEN, [REFUSED]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a/y::test_two": Ended("failed", "boom")}, "a/y::test_two fails without a reason: boom"),
        ({"a/y::test_one": Ended("failed", "boom")}, "fails, not with 'is not imitated' but with: boom"),
        ({"a/x::test_three": Ended("passed")}, "a/x::test_three passes, though it must fail: refused"),
        ({"a/y::test_one": Ended("skipped", "")}, "no test is called 'a/y::test_one' and fails: refused"),
    ],
)
def test_anything_else_is_a_surprise(change: dict[str, Ended], words: str) -> None:
    (line,) = surprises(AS_WRITTEN | change, [REFUSED])

    assert line.endswith(words)


def test_a_test_with_two_reasons_is_a_surprise() -> None:
    again: Difference = {**REFUSED, "reason": "and again", "tests": ["a/y::test_one"]}

    assert surprises(AS_WRITTEN, [REFUSED, again]) == ["a/y::test_one has 2 reasons; one is enough"]


def test_verdicts_are_read_from_pytests_report() -> None:
    report = ElementTree.fromstring(
        '<testsuite><testcase classname="tests.a.x" name="one"/>'
        '<testcase classname="tests.a.x" name="two"><failure message="boom"/></testcase>'
        '<testcase classname="" name="tests.a.y"><error message="collection failure"/></testcase>'
        '<testcase classname="tests.a.x" name="three"><skipped message="no"/></testcase></testsuite>'
    )

    assert verdicts(report) == {
        "a/x::one": Ended("passed"),
        "a/x::two": Ended("failed", "boom"),
        "/::tests.a.y": Ended("failed", "collection failure"),
        "a/x::three": Ended("skipped", "no"),
    }


def test_the_page_counts_and_names_what_fails() -> None:
    text = page("1.2", AS_WRITTEN, [REFUSED])

    assert "| all | 4 | 1 | 2 | 1 |" in text
    assert "2: all 1 of `a/x`, `a/y::test_one` |" in text
    assert "| 1 | not in server mode |" in text


def test_the_committed_page_has_every_written_reason() -> None:
    text = PAGE.read_text()

    for difference in json.loads((FOLDER / "differences.json").read_text()):
        assert f"| {difference['reason']} |" in text


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
@pytest.mark.timeout(1700)
def test_the_suites_of_moto_differ_only_as_written() -> None:
    words = [sys.executable, "-m", "moto_suites"]
    ended = subprocess.run(words, cwd=FOLDER.parent, capture_output=True, text=True)
    if ended.returncode == NO_SOURCES:
        pytest.skip(ended.stdout)

    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
