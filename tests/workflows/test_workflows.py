"""Workflows start things and decide nothing: thin, pinned, with the least permissions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
PIN = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    document = yaml.safe_load(path.read_text())
    if "runs" in document:
        yield from document["runs"]["steps"]
    for job in document.get("jobs", {}).values():
        yield from job.get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_runs_are_one_line_without_pasted_expressions(path: Path) -> None:
    """Logic lives in Python, where it is tested; `${{ }}` in a script is an injection."""
    for step in steps(path):
        script = step.get("run", "").strip()

        assert "\n" not in script
        assert "${{" not in script


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_action_is_pinned_by_commit_with_its_version(path: Path) -> None:
    used = [line.strip().lstrip("- ") for line in path.read_text().splitlines() if "uses:" in line]

    assert used
    for line in used:
        assert line == "uses: ./.github/actions/setup" or PIN.fullmatch(line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_empty_at_the_top_and_stated_by_every_job(path: Path) -> None:
    document = yaml.safe_load(path.read_text())

    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert "permissions" in job, name
        assert job["timeout-minutes"] > 0, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_release_steps_are_commands_of_the_pipeline() -> None:
    """What a workflow runs, a person can type: each step exists in the pipeline's own CLI."""
    from pipeline.cli import STEPS

    runs = [step["run"] for step in steps(ROOT / ".github/workflows/release.yml") if "run" in step]

    assert runs
    for run in runs:
        words = run.split()
        assert words[:3] == [".venv/bin/python", "-m", "pipeline"], run
        assert words[3] in STEPS, run


def test_only_jobs_that_call_aws_may_ask_for_an_identity_token() -> None:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            uses = " ".join(step.get("uses", "") for step in job.get("steps", []))
            calls_aws = "aws-actions/configure-aws-credentials@" in uses

            assert (job["permissions"].get("id-token") == "write") == calls_aws, f"{path.name}: {name}"
