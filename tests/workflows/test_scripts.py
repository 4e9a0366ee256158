"""The scripts that workflows run: their output, their calls of `gh`, and their failures."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.scripts import gh_calls, run


@pytest.mark.starts_processes
def test_a_missing_variable_is_reported_with_the_line_that_sets_it() -> None:
    ended = run(
        "require-variables", "AWS_ROLE_ARN", "AWS_REGION",
        TARGET="staging", GITHUB_REPOSITORY="ORG/REPO", AWS_REGION="eu-west-1", AWS_ROLE_ARN="",
    )  # fmt: skip

    assert ended.returncode == 1
    assert ended.stdout.startswith("::error title=AWS_ROLE_ARN is not set::")
    assert "gh variable set AWS_ROLE_ARN --repo ORG/REPO --env staging --body" in ended.stdout
    assert "AWS_REGION is not set" not in ended.stdout


@pytest.mark.starts_processes
def test_with_all_variables_set_nothing_is_printed() -> None:
    ended = run("require-variables", "AWS_REGION", TARGET="staging", AWS_REGION="eu-west-1")

    assert (ended.returncode, ended.stdout) == (0, "")


def status(*changes: dict[str, Any]) -> str:
    return json.dumps({"environments": [{"environment": "staging", "drift": list(changes)}]})


@pytest.mark.starts_processes
def test_drift_opens_one_issue_updates_it_and_closes_it(tmp_path: Path) -> None:
    log, seen = tmp_path / "gh.jsonl", tmp_path / "status.json"
    change = {"setting": "min instances", "live": "1", "coming": "2"}
    for content in (status(change), status(change), status()):
        seen.write_text(content)
        assert run("drift-issue", str(seen), log=log).returncode == 0
    verbs = [words[:2] for words in gh_calls(log) if words[:2] != ["issue", "list"]]

    assert verbs == [["label", "create"], ["issue", "create"], ["issue", "edit"], ["issue", "close"]]
    assert "- **staging** min instances: live 1, config 2" in str(gh_calls(log)[2])


@pytest.mark.starts_processes
def test_without_drift_no_issue_is_touched(tmp_path: Path) -> None:
    log, seen = tmp_path / "gh.jsonl", tmp_path / "status.json"
    seen.write_text(status())
    assert run("drift-issue", str(seen), log=log).returncode == 0

    assert [words[:2] for words in gh_calls(log)] == [["issue", "list"]]
