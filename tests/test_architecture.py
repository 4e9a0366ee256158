"""Imports go one way: parts meet through files and environment variables, layers import what stands before them."""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_MODULE = 250
SOURCES = {
    "golden": "golden",
    "container": "container/src",
    "pipeline": "pipeline",
    "smoke_tests": "smoke_tests",
    "load_tests": "load_tests",
    "local_aws": "local_aws/src/local_aws",
    "rehearsal": "rehearsal",
}
SHARED = {"golden"}  # every part may import it; it imports none
# Each layer of pipeline/ imports those before it, and of its own line what stands to its left.
LAYERS = (
    ("errors", "model", "ci"),
    ("config", "github"),
    ("release", "gates", "names"),
    ("aws", "run"),
    ("state", "release_store"),
    ("publishing", "autoscaling"),
    ("deployment",),
    ("preflight", "account"),
    ("verification",),
    ("promotion",),
    ("cli", "commands"),
)
ENTRANCE = "__main__"  # of the package; it may import every layer


def modules(folder: Path) -> Iterator[Path]:
    """Yield the Python files, those without a suffix that python runs included."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".py" or (
            not path.suffix and path.is_file() and b"python" in path.read_bytes()[:40]
        ):
            yield path


def imported(path: Path, package: str = "") -> Iterator[str]:
    """Yield the dotted name of every import, those in functions and for types included, relative ones resolved.

    `package` is the package that the file is a module of.
    """
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def wrong_arrows(package: Path, layers: Sequence[Sequence[str]]) -> list[str]:
    """List the imports inside of a package that run up, and the parts of it that no layer names."""
    order = [name for line in layers for name in line]
    found = []
    for path in modules(package):
        place = path.relative_to(package.parent).with_suffix("").parts
        part = place[1]
        if part in ("__init__", ENTRANCE):
            continue
        if part not in order:
            found.append(f"{part} stands in no layer")
            continue
        for name in imported(path, ".".join(place[:-1])):
            words = name.split(".")
            is_ours = words[0] == package.name and len(words) > 1 and words[1] != part
            if is_ours and words[1] not in order[: order.index(part)]:
                found.append(f"{'.'.join(place)} imports {name}")
    return sorted(set(found))


def foreign_imports(folder: Path, forbidden: set[str]) -> list[str]:
    """List the imports of other parts of this repository."""
    return [
        f"{path.relative_to(folder)} imports {name}"
        for path in modules(folder)
        for name in imported(path)
        if name.split(".")[0] in forbidden
    ]


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("part", SOURCES)
def test_a_part_imports_no_other_part(part: str) -> None:
    others = (set(SOURCES) - SHARED | {"tests", "benchmarks"}) - {part}

    assert list(modules(ROOT / SOURCES[part])), f"{SOURCES[part]} has no module"
    assert foreign_imports(ROOT / SOURCES[part], others) == []


def test_golden_needs_the_standard_library_alone() -> None:
    """But for the one module that asks a live endpoint, which nothing imports before it is used."""
    files = [path for path in modules(ROOT / "golden") if path.name != "live_endpoint.py"]
    names = {name.split(".")[0] for path in files for name in imported(path)}

    assert names - {"golden"} <= sys.stdlib_module_names


def test_benchmarks_import_no_test() -> None:
    assert foreign_imports(ROOT / "benchmarks", {"tests"}) == []


def test_the_layers_of_the_pipeline_import_those_before_them() -> None:
    assert wrong_arrows(ROOT / "pipeline", LAYERS) == []


def test_boto3_stands_behind_the_layer_aws() -> None:
    importers = {
        path.relative_to(ROOT / "pipeline").parts[0]
        for path in modules(ROOT / "pipeline")
        if {name.split(".")[0] for name in imported(path)} & {"boto3", "botocore"}
    }

    assert importers == {"aws"}


@pytest.mark.parametrize("part", SOURCES)
def test_modules_are_short_enough_to_be_read_at_once(part: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules(ROOT / SOURCES[part])
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }

    assert long == {}


FINE = {
    "house/__init__.py": "",
    "house/__main__.py": "from house.top import go\n",
    "house/ground.py": "import json\n",
    "house/beside.py": "from house import ground\n",
    "house/middle/__init__.py": "from house.ground import x\nfrom . import own\n",
    "house/middle/own.py": "from ..ground import y\n",
    "house/top/__init__.py": "import house.middle.own\n",
}
HOUSE = (("ground", "beside"), ("middle",), ("top",))


def test_arrows_that_run_down_are_right(tmp_path: Path) -> None:
    write(tmp_path, FINE)

    assert wrong_arrows(tmp_path / "house", HOUSE) == []


@pytest.mark.parametrize(
    ("file", "text", "arrow"),
    [
        ("ground.py", "import house.top", "house.ground imports house.top"),
        ("ground.py", "from house import beside", "house.ground imports house.beside"),
        ("ground.py", "from .beside import x", "house.ground imports house.beside.x"),
        ("middle/own.py", "from ..top import x", "house.middle.own imports house.top.x"),
        ("middle/own.py", "def late():\n    from house.top import x", "house.middle.own imports house.top.x"),
        (
            "middle/own.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.top",
            "house.middle.own imports house.top",
        ),
        ("middle/__init__.py", "from ..top import x", "house.middle.__init__ imports house.top.x"),
        ("attic.py", "", "attic stands in no layer"),
    ],
)
def test_an_arrow_that_runs_up_is_found(tmp_path: Path, file: str, text: str, arrow: str) -> None:
    write(tmp_path, {**FINE, f"house/{file}": text})

    assert wrong_arrows(tmp_path / "house", HOUSE) == [arrow]


def test_an_import_of_another_part_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import json\n", "b/c.py": "def late():\n    from pipeline.errors import x\n"})

    assert foreign_imports(tmp_path, {"pipeline"}) == ["b/c.py imports pipeline.errors.x"]
