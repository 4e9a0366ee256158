"""The scripts that workflows run: their output, their calls of `gh`, and their failures."""

import importlib.util
import json
import os
import subprocess
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = Path(__file__).parent / "commands"
TODAY = date(2026, 11, 1)


def run(
    script: str, *words: str, log: Path | None = None, **environ: str
) -> "subprocess.CompletedProcess[str]":
    found = {"PATH": f"{COMMANDS}:{os.environ['PATH']}", "FAKE_GH": str(log), **environ}
    return subprocess.run(
        [str(ROOT / ".ci" / script), *words], cwd=ROOT, env=found, capture_output=True, text=True
    )


def gh_calls(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_missing_variable_is_reported_with_the_line_that_sets_it() -> None:
    ended = run(
        "require-variables", "AWS_ROLE_ARN", "AWS_REGION",
        TARGET="staging", GITHUB_REPOSITORY="ORG/REPO", AWS_REGION="eu-west-1", AWS_ROLE_ARN="",
    )  # fmt: skip

    assert ended.returncode == 1
    assert ended.stdout.startswith("::error title=AWS_ROLE_ARN is not set::")
    assert "gh variable set AWS_ROLE_ARN --repo ORG/REPO --env staging --body" in ended.stdout
    assert "AWS_REGION is not set" not in ended.stdout


def test_with_all_variables_set_nothing_is_printed() -> None:
    ended = run("require-variables", "AWS_REGION", TARGET="staging", AWS_REGION="eu-west-1")

    assert (ended.returncode, ended.stdout) == (0, "")


def status(*changes: dict[str, Any]) -> str:
    return json.dumps({"environments": [{"environment": "staging", "drift": list(changes)}]})


def test_drift_opens_one_issue_updates_it_and_closes_it(tmp_path: Path) -> None:
    log, seen = tmp_path / "gh.jsonl", tmp_path / "status.json"
    change = {"setting": "min instances", "live": "1", "coming": "2"}
    for content in (status(change), status(change), status()):
        seen.write_text(content)
        assert run("drift-issue", str(seen), log=log).returncode == 0
    verbs = [words[:2] for words in gh_calls(log) if words[:2] != ["issue", "list"]]

    assert verbs == [["label", "create"], ["issue", "create"], ["issue", "edit"], ["issue", "close"]]
    assert "- **staging** min instances: live 1, config 2" in str(gh_calls(log)[2])


def test_without_drift_no_issue_is_touched(tmp_path: Path) -> None:
    log, seen = tmp_path / "gh.jsonl", tmp_path / "status.json"
    seen.write_text(status())
    assert run("drift-issue", str(seen), log=log).returncode == 0

    assert [words[:2] for words in gh_calls(log)] == [["issue", "list"]]


def test_a_github_release_is_made_once_and_its_files_are_renewed_by_a_re_run(tmp_path: Path) -> None:
    log, manifest = tmp_path / "gh.jsonl", tmp_path / "release.json"
    manifest.write_text(json.dumps({"id": "a-b"}))
    job = {"GITHUB_SHA": "c0ffee", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "O/R"}
    for _ in range(2):
        assert run("github-release", str(manifest), log=log, GITHUB_RUN_ID="7", **job).returncode == 0
    verbs = [words[:3] for words in gh_calls(log) if words[1] != "view"]

    assert verbs == [["release", "create", "release-a-b"], ["release", "upload", "release-a-b"]]


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
    assert gh_calls(log)[0][-1] == "O/R/.github/workflows/release.yml"


def test_an_image_is_named_to_later_steps_by_repository_and_digest() -> None:
    release = {"image": {"uri": "host:5000/digits@sha256:a", "digest": "sha256:a", "sbom": None}}
    named = script("release_outputs").outputs(release, "")

    assert named == {"name": "host:5000/digits", "digest": "sha256:a", "sbom": ""}


def script(name: str) -> ModuleType:
    """Import a Python script of .ci/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return script("audit")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"reason": " "}, "has no reason"),
        ({"until": None}, "has no date"),
        ({"until": date(2026, 10, 31)}, "expired on 2026-10-31"),
        ({"until": date(2027, 10, 31)}, "at most 92 days"),
    ],
)
def test_an_exception_has_a_reason_and_an_end(
    audit: ModuleType, change: dict[str, Any], problem: str | None
) -> None:
    exception = {"id": "GHSA-1", "reason": "not reached", "until": date(2026, 12, 1)} | change
    found = audit.problems([exception], TODAY)

    assert [problem in line for line in found] == ([True] if problem else [])


def test_every_pin_is_audited_under_the_version_that_advisories_know(audit: ModuleType) -> None:
    pins = "--hash\ntorch==2.13.0+cpu\nyarl==1.2 \\\n    --hash=sha256:00\n# numpy==1\ntomli==2 ; python_version<'3'\n"

    assert audit.without_local_versions(pins).split() == ["torch==2.13.0", "yarl==1.2", "tomli==2"]
    for path in audit.PINS:
        text = (ROOT / path).read_text()
        assert len(audit.without_local_versions(text).split()) == sum(
            "==" in line and not line.startswith(("#", "-")) for line in text.splitlines()
        )
