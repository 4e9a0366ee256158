"""Decision records, issue forms, hooks and changelog fragments are well-formed and complete."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORMS = [
    path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"
]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
MAKEFILE = (ROOT / "Makefile").read_text()


def test_every_decision_is_in_the_index_under_its_own_title() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+) \|$", index, re.MULTILINE)

    assert [(int(number), name) for number, name, _ in rows] == [
        (int(path.name[:4]), path.name) for path in DECISIONS
    ]
    for path, (number, _, title) in zip(DECISIONS, rows, strict=True):
        assert path.read_text().startswith(f"# {number}. {title}\n")


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_what_was_so_what_was_decided_and_what_follows(path: Path) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\*", path.read_text(), re.MULTILINE) == [
        "Context", "Decision", "Consequences"
    ]  # fmt: skip


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_what_github_requires_of_one(path: Path) -> None:
    form = yaml.safe_load(path.read_text())

    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_hooks_of_pre_commit_are_linters_that_make_lint_runs_too() -> None:
    """Hooks and CI use the same tools at the same versions."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    assert [repo["repo"] for repo in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        assert hook["language"] == "system"
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert re.search(rf"^\t.*\b{tool}\b", MAKEFILE, re.MULTILINE), tool


@pytest.mark.starts_processes
def test_the_fragments_make_a_changelog() -> None:
    """Towncrier would silently skip a fragment of an unknown kind."""
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != ".gitignore"]
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.0.0"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    for path in fragments:
        assert path.read_text().split()[0] in done.stdout, path
        assert path.name.split(".")[1] in {"feature", "fix", "removal", "security"}, path


@pytest.mark.parametrize("name", re.findall(r"\bmake ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))
def test_what_contributing_says_to_type_is_there(name: str) -> None:
    assert re.search(rf"^{name}:", MAKEFILE, re.MULTILINE)
