"""Documents name only what there is: files, links, make targets, modules, and commands with their options."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from pipeline.__main__ import PIPELINE

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "container" / "README.md",
    ROOT / "local_aws" / "README.md",
    *sorted((ROOT / "local_aws" / "docs").glob("*.md")),
]
EACH = pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
BASES = (ROOT, ROOT / "container", ROOT / "container" / "src", ROOT / "local_aws" / "src" / "local_aws")
NAMED_ALONE = (
    "container",
    ".github",
    "config",
    "local_aws/src",
    "pipeline",
)  # whose files may go without a folder
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".txt", ".json", ".conf", ".csv", ".css")
PATH = re.compile(r"\.?[\w*-]+(\.[\w*-]+)*(/[\w.*-]+)*/?")
NOT_IN_THE_REPOSITORY = {  # written by a command, or a user's own
    "build", ".venv", "code", "model", "input", "output", "training-job", "weights", "images", "evidence", "rollbacks",
    "audit", "canary.py", "inference.py", "serving.py", "schedule.json", "result.json", "shape-NAME.json", "report.html",
    "golden.json", "release.json", "evidence.json", "capacity.json", "provenance.json",
    "config/NAME.yaml", "config/shapes/NAME.yaml", "config/shapes/SHAPE.yaml", "pipeline/commands/NAME.py",
    "FILE.py", "config/stagng.yaml.",
}  # fmt: skip


def code(page: Path) -> Iterator[str]:
    """Yield what a page sets as code: the lines of its blocks without their comments, and its spans."""
    text = page.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from (line.split("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


@cache
def files_named_alone() -> frozenset[str]:
    return frozenset(path.name for folder in NAMED_ALONE for path in (ROOT / folder).rglob("*"))


def paths(page: Path) -> Iterator[str]:
    """Yield the words of a page's code that look like a file or folder of this repository."""
    folders = {path.name for base in BASES for path in base.iterdir() if path.is_dir()}
    for line in code(page):
        for word in re.split(r"[\s=:,;()\[\]{}\"'|]+", line):
            named = word.endswith(SUFFIXES) or ("/" in word and word.split("/")[0] in folders)
            if named and word not in SUFFIXES and PATH.fullmatch(word):
                yield word


def exists(word: str, page: Path) -> bool:
    """Say whether a path is there, from the root, from the page, or from a folder that pages start at."""
    if any(word == each or word.startswith(f"{each}/") for each in NOT_IN_THE_REPOSITORY):
        return True
    if "/" not in word and word in files_named_alone():
        return True
    return any(next(base.glob(word.rstrip("/")), None) for base in (page.parent, *BASES))


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in found}


@EACH
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    assert [word for word in paths(page) if not exists(word, page)] == []


@EACH
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        if "://" in name or name.startswith("../../actions/"):  # a page of GitHub
            continue
        linked = page.parent / name if name else page

        assert linked.exists(), target
        assert not anchor or anchor in headings(linked), target


@EACH
def test_the_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for line in code(page) for name in re.findall(r"^make ([a-z][a-z-]+)", line)}

    assert named <= targets


@EACH
def test_the_modules_that_a_page_runs_exist(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("container/src", "local_aws/tests"):  # from which their modules are run
        monkeypatch.syspath_prepend(str(ROOT / folder))
    named = {name for line in code(page) for name in re.findall(r"\bpython -m ([a-z][\w.]*)", line)}

    assert [name for name in sorted(named) if find_spec(name) is None] == []


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the pipeline on a page, in full or as `deploy --env NAME`, with its options."""
    names = "|".join(PIPELINE.list_commands())
    for line in code(page):
        for words in re.findall(r"\bpython -m pipeline ([a-z][^|;`]*)", line):
            yield words.split()[0], re.findall(r"(?<!\S)--[a-z-]+", words)
        if found := re.match(rf"(?:pipeline )?({names}) (?:[a-z]+ )?(?:… )?(--[a-z].*)", line):
            yield found[1], re.findall(r"(?<!\S)--[a-z-]+", found[2])


@EACH
def test_the_commands_that_a_page_names_exist_with_their_options(page: Path) -> None:
    for name, options in commands(page):
        command = PIPELINE.get_command(None, name)

        assert command is not None, name
        known = {word for each in command.params if isinstance(each, click.Option) for word in each.opts}
        assert set(options) <= known | {"--help"}, name


def test_the_checks_see_what_readme_names() -> None:
    """A pattern that matches nothing would let everything pass."""
    readme = ROOT / "README.md"

    assert {"container/src/digits/", "config/staging.yaml"} <= set(paths(readme))
    assert ("rollback", ["--env", "--strategy"]) in list(commands(readme))
    assert not exists("pipeline/command/lock.py", readme)
