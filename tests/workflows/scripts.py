"""Run the programs of .ci/ with a fake of `gh`."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
COMMANDS = Path(__file__).parent / "commands"
RELEASE_JOB: dict[str, Any] = {
    "GITHUB_SHA": "c0ffee",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "O/R",
    "GITHUB_RUN_ID": "7",
}


def run(
    script: str, *words: str, log: Path | None = None, cwd: Path = ROOT, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program of .ci/ with its arguments and variables; `log`: where the fake `gh` logs its calls."""
    found = {"PATH": f"{COMMANDS}:{os.environ['PATH']}", "FAKE_GH": str(log), **environ}
    return subprocess.run(
        [str(ROOT / ".ci" / script), *words], cwd=cwd, env=found, capture_output=True, text=True
    )


def gh_calls(log: Path) -> list[list[str]]:
    """Read the arguments of every call of `gh`."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def answers(folder: Path, documents: dict[str, Any]) -> str:
    """Write what GitHub's API answers, by path below the repository; a list is one answer after the other."""
    path = folder / "github.json"
    path.write_text(json.dumps(documents))
    return str(path)


def script(name: str) -> ModuleType:
    """Import a Python script of .ci/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
