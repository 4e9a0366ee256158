"""A repository's settings against its rules: each rule broken once, and named with its fix."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.config import Environment, load_environment
from pipeline.errors import ConfigError, GithubNotReady, GithubUnreachable
from pipeline.github.api import GithubApi
from pipeline.github.rules import broken_rules, rules_of
from pipeline.github.settings import GithubSettings
from pipeline.github.setup import role_arn
from pipeline.preflight.github import SIGNS_IN, github_checks
from tests.github_api import TOKEN, GithubServer, branches, environment, ready, variables

ROOT = Path(__file__).parents[2]
ENVS = [load_environment(name, ROOT / "config") for name in ("production", "staging")]
PRODUCTION, STAGING = ENVS
PRIVATE = {"full_name": "ORG/REPO", "private": True}


@pytest.fixture
def github() -> Iterator[GithubServer]:
    place = STAGING.aws
    with GithubServer(ready(place.account_id, place.region, place.model_package_group)) as server:
        yield server


def broken(github: GithubServer) -> dict[str, str]:
    """Return what is broken by rule, with its fix, as one text each."""
    settings = GithubSettings(GithubApi("ORG/REPO", TOKEN, github.url))
    found = broken_rules(rules_of(ENVS), settings)
    return {name: "\n".join(f"{each.what}\n{each.fix}" for each in every) for name, every in found.items()}


def test_a_repository_that_keeps_every_rule_has_nothing_broken(github: GithubServer) -> None:
    assert broken(github) == {}


POLICIES = "/environments/{}/deployment-branch-policies"
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("environment staging", {"/environments/staging": 404}, "There is no GitHub environment staging"),
    ("environment production", {"/environments/production": 404}, "There is no GitHub environment production"),
    ("environment production", {"/environments/production-approval": 404}, "There is no GitHub environment production-approval"),
    ("rollback of production", {"/environments/production": environment("production", reviewers=1)}, "a rollback too, waits"),
    ("environment staging", {"/environments/staging": environment("staging", reviewers=0, branch_policy=None)}, "Every branch may deploy to staging"),
    ("environment staging", {"/environments/staging": environment("staging", reviewers=0, branch_policy=False)}, "every protected branch"),
    ("environment staging", {POLICIES.format("staging"): branches("main", "release/*")}, "More than main may deploy to staging: release/*"),
    ("environment staging", {POLICIES.format("staging"): branches("main", tags=["v*"])}, "More than main may deploy to staging: tag v*"),
    ("environment staging", {POLICIES.format("staging"): branches()}, "No branch may deploy to staging"),
    ("environment production", {POLICIES.format("production"): branches("*")}, "More than main may deploy to production: *"),
    ("environment production", {POLICIES.format("production-approval"): branches("*")}, "More than main may deploy to production-approval: *"),
    ("environment production", {"/environments/production-approval": environment("production-approval", reviewers=0)}, "Nobody has to approve"),
    ("environment production", {"": PRIVATE, "/actions/variables": variables(ATTESTATIONS="off"), "/environments/production-approval": environment("production-approval", reviewers=0)}, "GitHub Enterprise alone"),
    ("variables of staging", {"/environments/staging/variables": variables()}, "AWS_ROLE_ARN of environment staging is not set"),
    ("variables of production", {"/environments/production/variables": variables(AWS_ROLE_ARN=role_arn(PRODUCTION), AWS_REGION="us-east-1", AWS_ACCOUNT_ID="123456789012")}, "AWS_REGION of environment production is us-east-1, not eu-west-1"),
    ("check `all green`", {"/rules/branches/main": []}, "have not passed the check `all green`"),
    ("workflow permissions", {"/actions/permissions/workflow": {"default_workflow_permissions": "write"}}, "are `write`, not `read`"),
    ("immutable releases", {"/immutable-releases": 404}, "can be changed afterwards"),
    ("attestations", {"": PRIVATE}, "ATTESTATIONS is not set"),
    ("attestations", {"/actions/variables": variables(ATTESTATIONS="off")}, "not attested, although"),
    ("attestations", {"/actions/variables": variables(ATTESTATIONS="no")}, "is no, not on or off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "changes", "what"), CASES, ids=[f"{rule}: {what}" for rule, _, what in CASES]
)
def test_each_rule_that_is_broken_is_named_alone_with_its_fix(
    github: GithubServer, rule: str, changes: dict[str, Any], what: str
) -> None:
    github.answers |= changes
    found = broken(github)

    assert list(found) == [rule]
    assert what in found[rule]
    assert re.search(r"gh api|gh variable set|Settings →", found[rule])


def test_every_rule_is_broken_in_a_case() -> None:
    assert {rule for rule, *_ in CASES} == set(rules_of(ENVS))


def test_a_required_check_of_branch_protection_counts_too(github: GithubServer) -> None:
    checks = {"required_status_checks": {"contexts": ["all green"]}}
    github.answers |= {"/rules/branches/main": [], "/branches/main/protection": checks}

    assert broken(github) == {}


def test_a_private_repository_may_say_that_it_promotes_by_hand(github: GithubServer) -> None:
    github.answers |= {
        "": PRIVATE,
        "/environments/production-approval": environment("production-approval", reviewers=0),
        "/actions/variables": variables(PROMOTION="by-hand", ATTESTATIONS="off"),
    }

    assert broken(github) == {}


def test_a_public_repository_has_reviewers_even_if_it_promotes_by_hand(github: GithubServer) -> None:
    github.answers |= {
        "/environments/production-approval": environment("production-approval", reviewers=0),
        "/actions/variables": variables(PROMOTION="by-hand"),
    }

    assert list(broken(github)) == ["environment production"]


def test_a_setting_that_may_not_be_read_is_broken(github: GithubServer) -> None:
    """Silence is no consent."""
    github.answers["/actions/permissions/workflow"] = 403

    assert "could not be checked: GitHub answered 403" in broken(github)["workflow permissions"]


# ------------------------------------------------------------------------------------------ the command


def run(github: GithubServer, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    for name, value in github.environ.items():
        monkeypatch.setenv(name, value)
    return main(["github-check", "--github-repo", "ORG/REPO", "--config", str(ROOT / "config"), *words])


def test_the_command_lists_every_problem_and_ends_with_a_code_of_its_own(
    github: GithubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    github.answers |= {"/immutable-releases": 404, "/environments/staging": 404}
    code = run(github, monkeypatch)
    shown = capsys.readouterr()

    assert code == GithubNotReady.exit_code
    assert "GithubNotReady: 2 settings of ORG/REPO are not safe" in shown.err
    assert (
        "environment staging: There is no GitHub environment staging.\n  fix: gh api --method PUT"
        in shown.err
    )
    assert "! immutable releases\n" in shown.out
    assert "✓ attestations\n" in shown.out


def test_the_command_says_what_it_has_checked(
    github: GithubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(github, monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"repository": "ORG/REPO", "checked": [*rules_of(ENVS)]}


@pytest.mark.parametrize("path", ["", "/environments/staging"])
def test_a_token_that_is_not_taken_is_said(github: GithubServer, path: str) -> None:
    with pytest.raises(GithubUnreachable, match="GitHub answered 401"):
        GithubApi("ORG/REPO", "another", github.url).get(path)


def test_nobody_answering_is_said() -> None:
    with pytest.raises(GithubUnreachable, match="did not answer"):
        GithubApi("ORG/REPO", TOKEN, "http://127.0.0.1:9").get()


def test_a_repository_that_the_token_may_not_see_is_said(github: GithubServer) -> None:
    with pytest.raises(GithubUnreachable, match="no repository ORG/OTHER"):
        _ = GithubSettings(GithubApi("ORG/OTHER", TOKEN, github.url)).is_private


def test_without_a_token_the_fix_is_a_command() -> None:
    with pytest.raises(ConfigError) as caught:
        GithubApi.from_environment("ORG/REPO", {})

    assert 'export GH_TOKEN="$(gh auth token)"' in caught.value.fix


# ------------------------------------------------------------------------------------------- preflight


def problems(github: GithubServer, env: Environment, **environ: str) -> list[str]:
    """Return the problems that preflight finds in a job of GitHub."""
    job = {SIGNS_IN: github.url, "GITHUB_REPOSITORY": "ORG/REPO", **github.environ, **environ}
    return [each.what for check in github_checks(env, job).values() for each in check(None)]


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.name)
def test_preflight_lets_a_protected_environment_pass_and_asks_for_nothing_else(
    github: GithubServer, env: Environment
) -> None:
    """The token of a job may read environments (`actions: read`), and neither variables nor rules."""
    assert problems(github, env) == []
    assert set(github.asked) <= {
        f"/repos/ORG/REPO{path}"
        for name in (env.name, f"{env.name}-approval")
        for path in ("", f"/environments/{name}", POLICIES.format(name))
    }


def test_preflight_refuses_an_environment_that_any_branch_may_take(github: GithubServer) -> None:
    github.answers["/environments/staging"] = environment("staging", reviewers=0, branch_policy=None)

    assert problems(github, STAGING) == ["Every branch may deploy to staging."]


@pytest.mark.parametrize(
    ("private", "event", "refused"),
    [
        (False, "push", True),
        (False, "workflow_dispatch", True),  # reviewers cost nothing there
        (True, "push", True),
        (True, "workflow_dispatch", False),  # the person who starts `promote` is the gate
    ],
)
def test_preflight_refuses_production_without_a_reviewer_or_a_person(
    github: GithubServer, private: bool, event: str, refused: bool
) -> None:
    github.answers |= {
        "": {"private": private},
        "/environments/production-approval": environment("production-approval", reviewers=0),
    }

    assert bool(problems(github, PRODUCTION, GITHUB_EVENT_NAME=event)) is refused


def test_preflight_refuses_what_it_cannot_read(github: GithubServer) -> None:
    assert "GH_TOKEN is not set" in problems(github, STAGING, GH_TOKEN="")[0]
    github.answers["/environments/staging"] = 403
    assert "could not be checked" in problems(github, STAGING)[0]


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "true"}], ids=["elsewhere", "in a job of ci"])
def test_where_no_role_can_be_taken_preflight_says_that_it_does_not_look(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The rehearsal runs preflight in a job of `ci`, which has no `id-token: write`."""
    caplog.set_level(logging.INFO, "pipeline")

    assert github_checks(STAGING, environ) == {}
    assert caplog.messages == ["- GitHub environment: not checked, because no job of GitHub signs in here"]
