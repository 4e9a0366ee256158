"""Each part declares what it imports, in its dependency group; a job on GitHub installs the groups that it runs."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_architecture import ROOT, SOURCES, imported, modules

GROUPS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
LOCAL_AWS = tomllib.loads((ROOT / "local_aws" / "pyproject.toml").read_text())
TORCH = ROOT / "container" / "torch.txt"
LOCKS = [
    *sorted((ROOT / "requirements").glob("*.txt")),
    ROOT / "container" / "requirements.txt",
    ROOT / "local_aws" / "requirements.txt",
]
NEEDS = {  # the groups by which a part imports; what torch.txt pins is the container's too
    "container": ["container"],
    "pipeline": ["pipeline"],
    "smoke_tests": ["smoke"],
    "load_tests": ["load"],
    "local_aws": ["local_aws"],
    "rehearsal": ["pipeline", "load"],
    "benchmarks": list(GROUPS),
    "tests": list(GROUPS),
    ".ci": ["pipeline"],
}
OPTIONAL = {
    "container": {"scipy"}
}  # imported where a program asks for it, with an error that says what to add
RUNS = {  # what a step of a workflow runs, and the group that it needs
    r"-m pipeline ": "pipeline",
    r"-m pipeline publish\b": "publish",
    r"-m pipeline (verify|promote)\b": "smoke",
    r"-m pipeline (verify|load-test)\b": "load",
    r"-m load_tests": "load",
    r"\.ci/release_outputs\.py": "pipeline",
    r"\.ci/audit\.py": "lint",
}


def names(requirements: list[str]) -> set[str]:
    """Normalise the names of requirements."""
    return {re.split(r"[^\w.-]", each)[0].lower().replace("_", "-") for each in requirements}


def declared(part: str) -> set[str]:
    """Collect the direct dependencies of the groups of a part."""
    found = names([each for group in NEEDS[part] for each in GROUPS[group]])
    if "local_aws" in NEEDS[part]:
        found |= names(LOCAL_AWS["project"]["dependencies"])
    if part == "tests":
        found |= names(LOCAL_AWS["dependency-groups"]["test"])
    if "container" in NEEDS[part]:
        found |= {line.partition("==")[0] for line in TORCH.read_text().splitlines() if "==" in line}
    return found


def files(part: str) -> Iterator[Path]:
    """Yield what a part imports with; a peer's program runs in an environment of its own."""
    for path in modules(ROOT / SOURCES.get(part, part)):
        if "programs" not in path.parts:
            yield path


def third_party(part: str) -> Iterator[tuple[str, str]]:
    """Yield each import of something that is neither ours nor Python's, with its file."""
    ours = {"local_aws", "tests", "benchmarks", *SOURCES}
    for part_or_source in ("container/src", "local_aws/tests", ".ci", SOURCES.get(part, part)):
        ours |= {path.stem for path in (ROOT / part_or_source).iterdir()}
    for path in files(part):
        for name in (
            {dotted.split(".")[0] for dotted in imported(path)} - ours - sys.stdlib_module_names - {""}
        ):
            yield name, str(path.relative_to(ROOT))


@pytest.mark.parametrize("part", NEEDS)
def test_every_import_is_a_direct_dependency_of_its_part(part: str) -> None:
    """A package that is there because another one needs it is gone when that one stops needing it."""
    distributions = packages_distributions()
    allowed = declared(part)
    undeclared = {
        f"{path} imports {name}"
        for name, path in third_party(part)
        if name not in OPTIONAL.get(part, ())
        and not {each.lower().replace("_", "-") for each in distributions.get(name, [name])} & allowed
    }

    assert undeclared == set()


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s\\;]+)", path.read_text(), re.MULTILINE))


def test_every_group_has_a_lock_that_pins_its_direct_dependencies() -> None:
    for group, requirements in GROUPS.items():
        folder = ROOT / group if group in ("container", "local_aws") else ROOT / "requirements"
        lock = folder / ("requirements.txt" if folder.name == group else f"{group}.txt")

        assert names(requirements) <= pins(lock).keys(), lock


def test_all_locks_pin_the_same_versions() -> None:
    found: dict[str, set[str]] = {}
    for lock in [*LOCKS, TORCH]:
        for name, version in pins(lock).items():
            found.setdefault(name, set()).add(version)

    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_pin_has_a_hash_and_no_lock_names_an_index(lock: Path) -> None:
    text = lock.read_text()
    blocks = re.findall(r"^[\w.-]+==[^\n]*\n(?: {4}--hash=sha256:[0-9a-f]{64}[^\n]*\n)+", text, re.MULTILINE)

    assert len(blocks) == len(pins(lock)) > 0
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("group", ["pipeline", "publish", "smoke", "load"])
def test_a_job_that_runs_pipeline_steps_installs_neither_torch_nor_a_browser(group: str) -> None:
    locked = pins(ROOT / "requirements" / f"{group}.txt")

    assert not locked.keys() & {"torch", "playwright", "onnxruntime", "openvino", "moto"}


def set_up() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the groups of every job that sets up Python, with the job's name and the job."""
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for step in job.get("steps", []):
                if step.get("uses") == "./.github/actions/setup":
                    yield step.get("with", {}).get("groups", ""), f"{path.name}: {name}", job


def test_jobs_install_the_groups_that_they_run() -> None:
    found = list(set_up())
    assert len(found) >= 10
    for groups, name, job in found:
        script = "\n".join(step.get("run", "") for step in job["steps"])
        needed = {group for pattern, group in RUNS.items() if re.search(pattern, script)}

        if groups:
            assert set(groups.split()) == needed, name
        else:
            assert re.search(r"^(sudo .* && )?make (lint|test-folder|rehearse)\b", script, re.MULTILINE), name


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
def test_the_pipeline_runs_in_an_environment_of_its_group_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / ".ci" / "install.py", "--venv", tmp_path / "venv", "pipeline"], check=True
    )
    parts = sorted(path for path in (ROOT / "pipeline").rglob("*.py") if path.name != "__main__.py")
    dotted = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in parts]
    python = tmp_path / "venv" / "bin" / "python"

    for words in (["-c", f"import {', '.join(dotted)}"], ["-m", "pipeline", "--help"]):
        subprocess.run([python, *words], cwd=ROOT, check=True, timeout=120)
