"""Rooms meet through files and environment variables, never through imports (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("container", "pipeline", "smoke_tests", "load_tests", "local_aws", "rehearsal")


def modules(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*.py")) if "local_test" not in path.parts]


def imported_names(path: Path) -> set[str]:
    """The first word of every absolute import in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_other_room(room: str) -> None:
    assert modules(room), f"{room}/ has no module"
    for path in modules(room):
        others = imported_names(path) & (set(ROOMS) - {room})

        assert not others, f"{path.relative_to(ROOT)} imports {sorted(others)}"


def test_boto3_stands_behind_one_door_in_the_pipeline() -> None:
    importers = [path for path in modules("pipeline") if imported_names(path) & {"boto3", "botocore"}]
    doors = {path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py") for path in importers}

    assert doors == {"aws"}


@pytest.mark.parametrize("room", ROOMS)
def test_modules_stay_short_enough_to_read_in_one_sitting(room: str) -> None:
    for path in modules(room):
        lines = len(path.read_text().splitlines())

        assert lines <= 300, f"{path.relative_to(ROOT)} has {lines} lines"
