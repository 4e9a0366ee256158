"""Every example of docs/clients.md runs unchanged and prints the output shown below it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.smoke_tests.conftest import ROOT, LiveEndpoint

DOCUMENT = ROOT / "docs" / "clients.md"
PACKAGES = ROOT / "docs" / "clients"
EXAMPLE = re.compile(
    r"```(?P<language>python|bash|javascript)\n(?P<code>.*?)```\s+```text\n(?P<output>.*?)```", re.DOTALL
)
BOUND_SECONDS = 60


@dataclass(frozen=True)
class Example:
    language: str
    code: str
    output: str

    @property
    def title(self) -> str:
        return f"{self.language} {self.output.splitlines()[0]}"


EXAMPLES = [Example(**found.groupdict()) for found in EXAMPLE.finditer(DOCUMENT.read_text())]


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the packages of docs/clients into a folder and return it."""
    if shutil.which("npm") is None:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail("a machine that must have an engine must have Node.js and npm: .ci/run installs them")
        pytest.skip("needs Node.js and npm")
    folder = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
        cwd=folder, check=True, timeout=120,
    )  # fmt: skip
    return folder


def command(example: Example, request: pytest.FixtureRequest, folder: Path) -> list[str]:
    if example.language == "python":
        return [sys.executable, "-c", example.code]
    if example.language == "bash":
        return ["bash", "-euo", "pipefail", "-c", example.code]
    script: Path = request.getfixturevalue("javascript") / f"{folder.name}.js"
    script.write_text(example.code)
    return ["node", str(script)]


def test_the_document_has_an_example_for_each_kind_of_client() -> None:
    text = DOCUMENT.read_text()

    assert {example.language for example in EXAMPLES} == {"python", "bash", "javascript"}
    assert len(EXAMPLES) == len(re.findall(r"```(python|bash|javascript)\n", text)), "one shows no output"


@pytest.mark.starts_processes
@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_an_example_runs_as_it_stands_and_prints_what_is_shown(
    example: Example, production: LiveEndpoint, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    done = subprocess.run(
        command(example, request, tmp_path),
        cwd=ROOT,
        env={**os.environ, **production.environ},
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, example.output), done.stderr
