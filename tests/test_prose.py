"""Docstrings promise something, and names are the field's own, in every Python file of the repository."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RIDDLE = re.compile(r"(What|How|Where|Whose|Whether|Which|That) ")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
USUAL_NAMES = {
    "Door": "a client or a protocol named for its methods", "EndpointDoor": "AwsClient", "AlarmDoor": "AwsClient",
    "Holder": "LockInfo", "Hold": "Lock", "why_void": "stale_reason", "run_step": "step_runner",
    "Ledger": "ScalingTimeline or StartedResources", "ledger": "timeline",
    "Told": "ScalingEvents", "Sight": "PreflightSnapshot", "Standing": "EnvironmentStatus",
    "Hearing": "IdentityProbe", "Wish": "LoadTestOptions",
    "Lane": "BatchServer or VariantRoute", "lane": "batch_server or variant_route", "wire": "http_messages or error_encoding",
    "Turn": "FairLock", "Watch": "InFlightTimer", "Flights": "PendingRequests", "land": "join",
    "last_words": "startup_failure or recent_logs", "at_hand": "existing_config", "promise": "slo",
    "Library": "ResourceStore", "seams": "protocols", "say": "logging",
}  # fmt: skip


@cache
def python_files() -> tuple[Path, ...]:
    """Return the tracked Python files, scripts without a suffix included."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    return tuple(
        path for path in paths if path.suffix == ".py" or (not path.suffix and _is_python_script(path))
    )


def _is_python_script(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(re.match(rb"#!.*\bpython", file.readline(100)))


def folder_of(path: Path) -> str:
    """Return the top folder, or the second below tests/: the unit in which a person works."""
    parts = path.relative_to(ROOT).parts[:-1]
    return "/".join(parts[:2] if parts[:1] == ("tests",) else parts[:1]) or "root"


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every name that a file defines, and its own, with their lines."""
    yield 1, path.stem
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


FOLDERS = pytest.mark.parametrize("folder", sorted({folder_of(path) for path in python_files()}))


@FOLDERS
def test_a_docstring_opens_with_a_promise_and_not_with_a_riddle(folder: str) -> None:
    """A verb phrase in the imperative for a function, a noun phrase for everything else."""
    riddles = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in python_files()
        if folder_of(path) == folder
        for line, text in docstrings(syntax_tree(path))
        if RIDDLE.match(text)
    ]

    assert not riddles, "\n".join(["docstrings that do not open with a promise:", *riddles])


@FOLDERS
def test_a_name_is_the_one_that_other_projects_use(folder: str) -> None:
    oblique = [
        f"{path.relative_to(ROOT)}:{line}: {name}, usually {USUAL_NAMES[name]}"
        for path in python_files()
        if folder_of(path) == folder
        for line, name in names(path)
        if name in USUAL_NAMES
    ]

    assert not oblique, "\n".join(["names that only this project uses:", *oblique])
