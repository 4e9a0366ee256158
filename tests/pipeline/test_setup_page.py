"""The setup in docs/github.md: each command can be typed as it stands, and in this order."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pipeline.__main__ import PIPELINE
from pipeline.account.bootstrap_github import GithubRepository
from pipeline.config import load_environment
from pipeline.github.rules import CHECK

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/github.md").read_text()
SETUP = PAGE[PAGE.index("## Set up") : PAGE.index("## The workflows")]
BLOCKS = re.findall(r"^```\n(.*?)^```$", SETUP, re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<'JSON'\n(.*?)^JSON$", re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in HERE_DOCUMENT.sub("", block).splitlines()]
PIPELINE_LINES = [line for line in LINES if "-m pipeline" in line]
IN_ORDER = [
    "make setup",
    "config/staging.yaml",
    "ids=$(gh api",
    "-m pipeline bootstrap",
    "AWS Notification - Subscription Confirmation",
    "aws service-quotas request-service-quota-increase",
    "Paste the lines that `bootstrap` has printed",
    "default_workflow_permissions=read",
    "gh variable set ATTESTATIONS",
    "make bootstrap-check",
    "git push",
    "gh pr merge",
]


def test_the_steps_stand_in_the_order_in_which_they_work() -> None:
    """A fresh clone has no .venv, and a first push without environments would make them, open to all branches."""
    places = [SETUP.find(step) for step in IN_ORDER]

    assert -1 not in places
    assert places == sorted(places)
    assert re.findall(r"^\*\*(\d+)\. ", SETUP, re.MULTILINE) == [str(number) for number in range(1, 11)]


@pytest.mark.starts_processes
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_each_block_is_shell(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", PIPELINE_LINES)
def test_each_command_of_the_pipeline_parses(line: str) -> None:
    words = shlex.split(line)
    assert words[:3] == [".venv/bin/python", "-m", "pipeline"]

    PIPELINE.parse(words[3:])


def test_bootstrap_covers_every_environment_of_its_account() -> None:
    (line,) = PIPELINE_LINES

    assert "--env" not in shlex.split(line)
    assert "once with the credentials of each" in SETUP


def test_the_ids_are_asked_for_in_the_form_that_bootstrap_reads() -> None:
    template = re.search(r"--jq '\"(.+)\"'\)", SETUP)
    assert template is not None
    ids = template[1].replace("\\(.owner.id)", "12").replace("\\(.id)", "345")

    assert GithubRepository.parse("ORG/REPO", ids).id == 345


def test_each_target_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {line.split()[1] for line in LINES if line.startswith("make ")} <= targets


def test_the_ruleset_requires_the_check_that_ci_has() -> None:
    (document,) = [json.loads(found) for block in BLOCKS for found in HERE_DOCUMENT.findall(block)]
    (required,) = [rule for rule in document["rules"] if rule["type"] == "required_status_checks"]

    assert required["parameters"]["required_status_checks"] == [{"context": CHECK}]
    assert f"name: {CHECK}" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_the_quota_to_ask_for_is_enough_for_both_environments() -> None:
    envs = [load_environment(name, ROOT / "config") for name in ("staging", "production")]
    fleets = sum(env.deployment.both_fleets(env.autoscaling.max_instances) for env in envs)
    (asked,) = re.findall(r"--desired-value (\d+)", SETUP)

    assert int(asked) == fleets + len(("capacity", "baseline"))
    assert f"{asked} of `{envs[0].endpoint.instance_type} for endpoint usage`" in SETUP
