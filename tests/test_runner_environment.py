"""Tests pass in a runner's environment, and for a user with a private umask and a home that nobody can write to."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNNER = {
    "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "ORG/REPO", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_RUN_ID": "4711",
    "GITHUB_RUN_NUMBER": "7", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_SHA": "0" * 40, "GITHUB_STEP_SUMMARY": "",
    "RUNNER_OS": "Linux",
}  # fmt: skip


@pytest.mark.starts_processes
def test_a_runners_variables_change_no_test_of_locks_and_reports() -> None:
    environ = {**os.environ, **RUNNER}
    tests = ["tests/pipeline/test_lock.py", "tests/pipeline/test_github.py", "tests/pipeline/test_audit.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=250)

    assert ended.returncode == 0, ended.stdout[-3000:]


@pytest.mark.parametrize("folder", ["tests", "local_aws/tests"])
def test_a_run_of_either_folder_lists_what_it_skipped_for_want_of_root(folder: str) -> None:
    assert '"local_aws.testing.privileged_skips"' in (ROOT / folder / "conftest.py").read_text()


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
def test_a_private_umask_and_a_home_that_cannot_be_written_change_no_test() -> None:
    with tempfile.TemporaryDirectory(
        prefix="t"
    ) as folder:  # short: the path of a Unix socket is at most 107 long
        home = Path(folder, "home")
        home.mkdir(mode=0o500)
        quick = ["-p", "no:cacheprovider", "--basetemp", f"{folder}/t", "-m", "not starts_processes"]
        environ = {**os.environ, **RUNNER, "HOME": str(home), "EVERY_CASE": ""}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *quick],
            cwd=ROOT, env=environ, umask=0o077, capture_output=True, text=True, timeout=280,
        )  # fmt: skip

    assert ended.returncode == 0, ended.stdout[-3000:]
