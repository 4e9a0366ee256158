"""Workflows only start commands: one line each, pinned actions, the least permissions.

act, which runs them in test_runs.py, enforces neither permissions nor environments nor concurrency.
"""

import os
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from pipeline.__main__ import PIPELINE
from pipeline.cli.options import STRATEGIES
from pipeline.config import environments, load_environment
from tests.workflows.files import (
    ACTIONS,
    ROOT,
    SIGN_IN,
    WORKFLOWS,
    environment,
    events,
    every_job,
    jobs,
    jobs_with_role,
    read,
    steps,
    uses,
)

PIN = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")
OURS = re.compile(r"uses: \./\.github/(actions/[\w-]+|workflows/[\w-]+\.yml)$")
VALUES = {
    "SHAPE": "ramp",
    "MINUTES": "1",
    "WORKERS": "2",
    "AT": "0",
    "TARGET": "staging",
    "NEXT": "production",
    "PROFILE": "full",
    "RELEASE": "0123456789ab-01234567",
    "CONFIRM": "staging",
    "STRATEGY": "own",
}
NAMED = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
EVERY = pytest.mark.parametrize(
    "path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name
)


@EVERY
def test_runs_are_one_line_without_pasted_expressions(path: Path) -> None:
    """Logic lives in Python, where it is tested; `${{ }}` in a script is an injection."""
    for step in steps(path):
        script = step.get("run", "").strip()

        assert "\n" not in script
        assert "${{" not in script


@EVERY
def test_every_action_is_ours_or_pinned_by_commit_with_its_version(path: Path) -> None:
    used = [line.strip().lstrip("- ") for line in path.read_text().splitlines() if "uses:" in line]

    assert used
    for line in used:
        assert OURS.fullmatch(line) or PIN.fullmatch(line), line


def test_an_action_has_one_pin_everywhere() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in WORKFLOWS + ACTIONS:
        for line in path.read_text().splitlines():
            if found := PIN.search(line):
                pins.setdefault(found[1], set()).add((found[2], found[3]))

    assert pins
    assert {name for name, found in pins.items() if len(found) > 1} == set()


@NAMED
def test_permissions_are_empty_at_the_top_and_stated_by_every_job(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in jobs(path):
        assert "permissions" in job, name
        assert "uses" in job or job["timeout-minutes"] > 0, name


@NAMED
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@NAMED
def test_a_pull_request_reaches_no_identity_and_no_environment(path: Path) -> None:
    """Anyone who can open a pull request can change the commands of its jobs."""
    assert "pull_request_target" not in events(path)
    if "pull_request" not in events(path):
        return
    for name, job in jobs(path):
        assert job["permissions"] in ({}, {"contents": "read"}), name
        assert "environment" not in job, name
        assert "uses" not in job, f"{name}: a called workflow has permissions of its own"


def test_only_jobs_that_call_aws_may_ask_for_an_identity_token() -> None:
    """A job that calls a workflow may do what the jobs of that workflow do, and no more."""
    granted = {
        name: {key for key, value in job["permissions"].items() if value == "write"}
        for name, job in every_job()
    }
    for name, job in every_job():
        called = job.get("uses", "").rpartition("/")[2]
        if called:
            needed = {
                key for other, keys in granted.items() if other.startswith(f"{called}: ") for key in keys
            }
        else:
            needed = (granted[name] - {"id-token"}) | ({"id-token"} if SIGN_IN in uses(job) else set())

        assert granted[name] == needed, name


def test_a_job_signs_in_as_its_own_environment_before_the_long_set_up() -> None:
    """A missing variable or a refused role is reported in the first minute."""
    found = list(jobs_with_role())
    assert len(found) >= 10
    for name, job in found:
        used = [step.get("uses", "") for step in job["steps"]]
        (sign_in,) = [step for step in job["steps"] if step.get("uses") == SIGN_IN]

        assert sign_in["with"]["environment"] == environment(job) == job["env"]["TARGET"], name
        assert used.index(SIGN_IN) < used.index("./.github/actions/setup"), name


@EVERY
def test_every_run_is_a_command_that_exists_with_those_options(path: Path) -> None:
    """A person can type every command of a workflow."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for step in steps(path):
        if "run" not in step:
            continue
        for command in step["run"].split(" && "):
            assert_can_be_typed(re.split(r" (?:>>?|\|) ", command)[0].removeprefix("sudo "), targets)


def assert_can_be_typed(command: str, targets: list[str]) -> None:
    words = [VALUES.get(word.removeprefix("$"), word) for word in shlex.split(command)]
    if words[:3] == [".venv/bin/python", "-m", "pipeline"]:
        PIPELINE.parse(words[3:])  # raises for a command or an option that does not exist
    elif words[:2] == [".venv/bin/python", "-m"]:
        assert find_spec(words[2]), command
    elif words[0] == ".venv/bin/python":
        assert (ROOT / words[1]).is_file(), command
    elif words[0] == "make":
        assert words[1] in targets, command
    elif "/" in words[0]:
        assert os.access(ROOT / words[0], os.X_OK), command
    else:
        assert words[0] in {"apt-get", "date", "echo", "test"}, command


def test_choices_are_what_there_is() -> None:
    for path in WORKFLOWS:
        asked = (
            (read(path)["on"].get("workflow_dispatch") or {}) if isinstance(read(path)["on"], dict) else {}
        )
        for name, each in (asked.get("inputs") or {}).items():
            if name == "environment":
                assert set(each["options"]) <= set(environments(ROOT / "config")), path.name
            if name == "strategy":
                assert tuple(each["options"]) == STRATEGIES, path.name
                assert each["default"] == "own", path.name
            if name == "shape":
                shapes = {file.stem for file in (ROOT / "config" / "shapes").glob("*.yaml")}
                assert set(each["options"]) == shapes, path.name


def test_endpoints_are_called_as_the_load_test_calls_them() -> None:
    for name in environments(ROOT / "config"):
        assert load_environment(name, ROOT / "config").endpoint.name == f"digits-{name}"


def test_all_green_waits_for_every_other_job() -> None:
    found = dict(jobs(ROOT / ".github/workflows/ci.yml"))
    green = found.pop("all-green")

    assert green["if"] == "always()"
    assert set(green["needs"]) == set(found)
    assert green["steps"][0]["run"].count("success") == len(found)


def test_every_folder_of_tests_is_run_by_ci() -> None:
    mirrored = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    beside = {path.parent.name for path in ROOT.glob("*/tests")}
    folders = dict(jobs(ROOT / ".github/workflows/ci.yml"))["test"]["strategy"]["matrix"]["folder"]

    assert set(folders) == mirrored | beside | {"root"}


def test_dependabot_looks_after_actions_packages_and_the_base_image() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]

    assert {"github-actions", "pip", "docker"} <= {each["package-ecosystem"] for each in updates}
    assert all(each["cooldown"]["default-days"] > 0 for each in updates)
