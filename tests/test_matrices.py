"""The fast tier takes one case of every matrix, by the printed seed, which is the commit's unless another is given."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.proof_tables import Verdict, false_alarms
from tests.prove import cases, properties, run_all, words

CONFTEST = Path(__file__).with_name("conftest.py")
ROLLED_BACK = "test_a_release_that_answers_500_is_rolled_back_by_its_own_alarm"
PASSED: Verdict = {"verdict": "passed", "seconds": 1.0, "said": {}}
MATRIX = """
import pytest

@pytest.mark.matrix
@pytest.mark.parametrize("case", range(20))
def test_many(case):
    assert case < 20

@pytest.mark.matrix(only_in_prove=True)
def test_long():
    pass

def test_one():
    pass
"""


def prepare(folder: Path) -> None:
    """Write a matrix of 20 cases beside one plain test."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_cases.py").write_text(MATRIX)
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers = matrix\n  docker\n  measures\n  starts_processes\n"
    )


def environment(**environ: str) -> dict[str, str]:
    """Return this environment without what chooses cases, and without what xdist tells its workers."""
    ours = ("EVERY_CASE", "MATRIX_SEED")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("PYTEST_XDIST")
    }
    return kept | environ


def collected(folder: Path, **environ: str) -> tuple[list[str], str]:
    """Collect the matrix; return the names and what was printed."""
    prepare(folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-v", "--rootdir", str(folder), str(folder)],
        env=environment(**environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.strip() for line in done.stdout.splitlines() if "<Function" in line], done.stdout


@pytest.mark.starts_processes
def test_the_fast_tier_takes_one_case_and_every_plain_test(tmp_path: Path) -> None:
    names, printed = collected(tmp_path)

    assert len(names) == 2
    assert "MATRIX_SEED=" in printed


@pytest.mark.starts_processes
def test_the_printed_seed_takes_the_same_case_again(tmp_path: Path) -> None:
    first = {seed: collected(tmp_path, MATRIX_SEED=seed)[0] for seed in ("1", "2", "3")}

    assert {seed: collected(tmp_path, MATRIX_SEED=seed)[0] for seed in first} == first
    assert len({tuple(names) for names in first.values()}) > 1, "another seed takes another case"


@pytest.mark.starts_processes
def test_without_a_seed_the_commit_takes_the_same_case_again(tmp_path: Path) -> None:
    for options in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", *options], cwd=tmp_path, check=True)
    first, printed = collected(tmp_path)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True)

    assert f"MATRIX_SEED={int(commit[:8], 16) % 10_000} " in printed
    assert collected(tmp_path)[0] == first


@pytest.mark.starts_processes
def test_workers_take_the_cases_that_their_controller_takes(tmp_path: Path) -> None:
    """A run whose workers collect different tests is failed by xdist itself."""
    prepare(tmp_path)
    folder = str(tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        "--rootdir",
        folder,
        folder,
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.starts_processes
def test_proving_takes_every_case(tmp_path: Path) -> None:
    names, _ = collected(tmp_path, EVERY_CASE="1")

    assert len(names) == 22


@pytest.mark.starts_processes
def test_the_cases_to_prove_are_those_of_this_repository() -> None:
    found = cases()

    assert len(found) == len(set(found))
    for instances in ("docker", "process"):
        assert f"tests/rehearsal/test_rollback.py::{ROLLED_BACK}[{instances}]" in found
    measuring = cases("matrix and measures")
    assert set(measuring) < set(found)
    assert any(case.startswith("tests/pipeline/test_comparison.py") for case in measuring)


def test_cases_run_two_at_a_time_and_those_that_measure_alone_after_them() -> None:
    both, order, lock = threading.Barrier(2), list[str](), threading.Lock()
    measuring = ["first", "second"]

    def work(case: str) -> Verdict:
        with lock:
            order.append(f"begin {case}")
        if case not in measuring:
            both.wait(60)
        with lock:
            order.append(f"end {case}")
        return PASSED

    ended = list(run_all(["first", "a", "b", "second"], measuring, work, jobs=2))

    assert sorted(case for case, _ in ended[:2]) == ["a", "b"]
    assert order[4:] == [f"{what} {case}" for case in measuring for what in ("begin", "end")]


@pytest.mark.starts_processes
def test_false_alarms_are_counted_from_what_the_cases_said(tmp_path: Path) -> None:
    (tmp_path / "test_says.py").write_text(
        "def test_says(record_property):\n    record_property('a_a_verdict', 'failed')\n"
    )
    report = tmp_path / "report.xml"
    strict = ["-p", "no:cacheprovider", "-W", "error", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    subprocess.run([*words(report), *strict, str(tmp_path)], capture_output=True, timeout=60, check=True)
    alarm: Verdict = {"verdict": "passed", "seconds": 1.0, "said": properties(report)}
    quiet: Verdict = {"verdict": "passed", "seconds": 1.0, "said": {"a_a_verdict": "passed"}}

    page = "\n".join(false_alarms({"a": alarm, "b": quiet, "c": quiet, "d": quiet, "e": PASSED}))
    assert "4 A/A comparisons: 1 false alarms observed (25 %; at most 75.1 % with 95 % confidence), 0" in page
    assert false_alarms({"e": PASSED}) == []
