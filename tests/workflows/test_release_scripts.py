"""The programs that decide whether a release goes on, and that record it: their calls of `gh` and their failures."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.publishing.image import BUILT
from tests.workflows.scripts import RELEASE_JOB, answers, gh_calls, run, script


@pytest.mark.starts_processes
def test_a_github_release_is_published_once_and_stays(tmp_path: Path) -> None:
    """It is immutable; all files are there before it is published."""
    log, manifest = tmp_path / "gh.jsonl", tmp_path / "release.json"
    manifest.write_text(json.dumps({"id": "a-b"}))
    for _ in range(2):
        ended = run("github-release", str(manifest), str(tmp_path / "missing"), log=log, **RELEASE_JOB)
        assert ended.returncode == 0
    calls = [words for words in gh_calls(log) if words[1] != "view"]

    assert [words[:3] for words in calls] == [
        ["release", "create", "release-a-b"],
        ["release", "edit", "release-a-b"],
    ]
    assert {"--draft", "--verify-tag", str(manifest)} <= set(calls[0])
    assert str(tmp_path / "missing") not in calls[0]
    assert calls[1][3:] == ["--draft=false"]
    assert ended.stdout == "release-a-b is published already\n"


@pytest.mark.starts_processes
def test_a_draft_of_a_run_that_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    log, manifest = tmp_path / "gh.jsonl", tmp_path / "release.json"
    manifest.write_text(json.dumps({"id": "a-b"}))
    log.write_text(json.dumps(["release", "create", "release-a-b"]) + "\n")
    assert run("github-release", str(manifest), log=log, **RELEASE_JOB).returncode == 0

    assert [words[1] for words in gh_calls(log)[1:]] == ["view", "delete", "create", "edit"]
    assert "--cleanup-tag" not in str(gh_calls(log))


@pytest.mark.starts_processes
def test_a_release_is_tagged_once(tmp_path: Path) -> None:
    log = tmp_path / "gh.jsonl"
    for _ in range(2):
        ended = run("tag-release", "a-b", log=log, **RELEASE_JOB)
        assert ended.returncode == 0
    made = [words for words in gh_calls(log) if "POST" in words]

    assert [words[-4:] for words in made] == [["-f", "ref=refs/tags/release-a-b", "-f", "sha=c0ffee"]]
    assert ended.stdout == "release-a-b is there already\n"


@pytest.mark.starts_processes
def test_a_tag_that_github_refuses_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    github = answers(tmp_path, {"git/refs": "refused"})
    ended = run("tag-release", "a-b", log=tmp_path / "gh.jsonl", FAKE_GITHUB=github, **RELEASE_JOB)

    assert ended.returncode == 1
    assert "git push origin c0ffee:refs/tags/release-a-b" in ended.stdout


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("attested", "code"), [("r@sha256:a provenance\n", 0), ("r@sha256:b provenance\n", 1)]
)
def test_an_image_is_deployed_only_when_its_digest_was_attested(
    tmp_path: Path, attested: str, code: int
) -> None:
    log, manifest, known = tmp_path / "gh.jsonl", tmp_path / "release.json", tmp_path / "attested"
    manifest.write_text(json.dumps({"image": {"uri": "r@sha256:a"}}))
    known.write_text(attested)
    ended = run("verify-image", str(manifest), log=log, FAKE_ATTESTED=str(known), GITHUB_REPOSITORY="O/R")

    assert ended.returncode == code
    assert ("dispatch rebuild" in ended.stdout) == bool(code)
    assert gh_calls(log)[0][3:] == [
        "--repo", "O/R", "--source-ref", "refs/heads/main",
        "--signer-workflow", "O/R/.github/workflows/publish.yml", "--deny-self-hosted-runners",
    ]  # fmt: skip


def check_runs(*conclusions: str | None, app: str = "github-actions") -> dict[str, Any]:
    return {"check_runs": [{"app": {"slug": app}, "conclusion": each} for each in conclusions]}


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("seen", "code", "says"),
    [
        ([check_runs("success")], 0, "all green is green for c0ffee"),
        ([check_runs(), check_runs(None), check_runs("success")], 0, "is green"),
        ([check_runs("failure", "success")], 0, "is green"),  # of ci that was run again
        ([check_runs("failure", None), check_runs("failure", "success")], 0, "is green"),
        ([check_runs("failure")], 1, "ended with: failure"),
        ([check_runs("cancelled")], 1, "ended with: cancelled"),
        ([check_runs(None)], 1, "did not end within 1 s"),
        ([check_runs()], 1, "did not end within 1 s"),
        ([check_runs("success", app="somebody")], 1, "did not end within 1 s"),
    ],
)
def test_a_release_goes_on_when_ci_of_its_commit_is_green(
    tmp_path: Path, seen: list[Any], code: int, says: str
) -> None:
    log, github = tmp_path / "gh.jsonl", answers(tmp_path, {"commits/c0ffee/check-runs": seen})
    polling: dict[str, Any] = {"WAIT_SECONDS": "1" if code else "60", "POLL_SECONDS": "0.2"}
    ended = run("wait-for-check", "all green", log=log, FAKE_GITHUB=github, **polling, **RELEASE_JOB)

    assert (ended.returncode, says in ended.stdout) == (code, True), ended.stdout
    assert "check_name=all green" in gh_calls(log)[0]


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([{"type": "required_reviewers", "reviewers": [{"type": "User"}]}], 0),
        ([{"type": "required_reviewers", "reviewers": []}], 1),
        ([{"type": "branch_policy"}], 1),
        ([], 1),
    ],
)
def test_an_environment_without_reviewers_approves_nothing(
    tmp_path: Path, rules: list[Any], code: int
) -> None:
    """GitHub makes a missing environment by itself, and a job in it waits for nobody."""
    github = answers(tmp_path, {"environments/production-approval": {"protection_rules": rules}})
    log = tmp_path / "gh.jsonl"
    ended = run("require-reviewers", "production-approval", log=log, FAKE_GITHUB=github, **RELEASE_JOB)

    assert ended.returncode == code
    assert ("PROMOTION=by-hand" in ended.stdout) == bool(code)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("deployed_by_run", "relation", "code"),
    [
        (None, "ahead", 0),  # nothing is live, or a person deployed it
        ("https://github.com/O/R/actions/runs/7", "ahead", 0),  # this very run, in an earlier attempt
        ("https://github.com/O/R/actions/runs/5", "behind", 0),
        ("https://github.com/O/R/actions/runs/5", "identical", 0),
        ("https://github.com/O/R/actions/runs/9", "ahead", 1),
    ],
)
def test_an_older_commit_does_not_take_an_environment_back(
    tmp_path: Path, deployed_by_run: str | None, relation: str, code: int
) -> None:
    number = (deployed_by_run or "").rpartition("/")[2]
    documents = {
        f"actions/runs/{number}": {"head_sha": "decade"},
        "compare/c0ffee...decade": {"status": relation},
    }
    standing = {"environment": "staging", "deployed_by_run": deployed_by_run}
    played = played_pipeline(tmp_path, {"environments": [standing]})
    ended = run(
        "refuse-superseded", "staging", log=tmp_path / "gh.jsonl", cwd=played,
        FAKE_GITHUB=answers(tmp_path, documents), **RELEASE_JOB,
    )  # fmt: skip

    assert ended.returncode == code, ended.stderr
    assert ("later commit decade" in ended.stdout) == bool(code)


@pytest.mark.starts_processes
def test_where_github_no_longer_knows_the_order_a_release_goes_on(tmp_path: Path) -> None:
    standing = {"environment": "staging", "deployed_by_run": "https://github.com/O/R/actions/runs/5"}
    played = played_pipeline(tmp_path, {"environments": [standing]})
    github = answers(tmp_path, {"actions/runs/5": None, "compare/c0ffee...x": None})
    ended = run(
        "refuse-superseded",
        "staging",
        log=tmp_path / "gh.jsonl",
        cwd=played,
        FAKE_GITHUB=github,
        **RELEASE_JOB,
    )

    assert (ended.returncode, ended.stdout.startswith("::warning title=Order unknown")) == (0, True)


def played_pipeline(folder: Path, document: dict[str, Any]) -> Path:
    """Make a folder whose .venv/bin/python prints a document."""
    python = folder / "checkout" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(document)}\nEND\n")
    python.chmod(0o755)
    return folder / "checkout"


IMAGE = {"uri": "host:5000/digits@sha256:a", "digest": "sha256:a", "sbom": None}
RUN_URL = "https://github.com/O/R/actions/runs/7"
RELEASE = {"id": "a-b", "image": IMAGE, "run_url": RUN_URL}


@pytest.mark.parametrize(
    ("calls", "run_url", "built", "new"),
    [
        ([], RUN_URL, "false", "true"),  # another run has built the image that was there
        ([f"{BUILT} host:5000/digits:t"], RUN_URL, "true", "true"),
        (
            ["register release a-b in model group digits"],
            "https://github.com/O/R/actions/runs/8",
            "false",
            "false",
        ),
        ([], "", "false", "false"),
    ],
)
def test_later_steps_learn_what_this_run_has_built(
    calls: list[str], run_url: str, built: str, new: str
) -> None:
    """Only that is attested: whoever may push an image could otherwise have a workflow of main vouch for it."""
    found = script("release_outputs").outputs(RELEASE, "", {"calls": calls}, run_url)

    assert found == {
        "release": "a-b", "name": "host:5000/digits", "digest": "sha256:a", "sbom": "", "built": built, "new": new,
    }  # fmt: skip


def test_the_outputs_and_the_pipeline_use_one_word_for_a_build() -> None:
    assert script("release_outputs").BUILT == BUILT
