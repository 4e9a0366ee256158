"""docs/your-model.md: both ways to bring a model are walked as written, by somebody with a fresh clone."""

import os
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.starts_processes
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-model.md"
REGRESSION = Path(__file__).parent / "regression"
TABULAR = ROOT / "container" / "local_test" / "examples" / "tabular"
MODEL = Path("container/local_test/opt/ml/model")
SECONDS = 900


def section(title: str) -> str:
    """Return the text of one section of the page."""
    return PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(title: str) -> Iterator[str]:
    """Yield the shell commands of a section, in order."""
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", section(title), re.DOTALL | re.MULTILINE):
        yield from (line.strip() for line in block.splitlines() if line.strip())


def walk(title: str, clone: Path, *, rehearsing: bool) -> list[str]:
    """Run a section's commands in a clone; return those that ran. Rehearsals take minutes, and may be left out."""
    chosen = [line for line in commands(title) if rehearsing or not line.startswith("make rehearse")]
    environ = {**os.environ, "LOCAL_AWS_INSTANCES": "process"}
    for line in chosen:
        done = subprocess.run(
            ["bash", "-ec", line], cwd=clone, env=environ, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return chosen


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a fresh clone of HEAD with this checkout's packages."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    (tmp_path / "clone" / ".venv").symlink_to((ROOT / ".venv").resolve())
    (tmp_path / "clone" / ".git" / "info" / "exclude").write_text(".venv\n")  # .gitignore names a folder
    return tmp_path / "clone"


def bring_an_archive(clone: Path) -> None:
    """Put a model.tar.gz and a folder of requests into the clone, as somebody who has never seen this repository."""
    made = clone / "build" / "made"
    words = [str(clone / ".venv" / "bin" / "python"), str(TABULAR / "prepare.py"), str(made)]
    subprocess.run(words, check=True, timeout=SECONDS)
    with tarfile.open(clone / "model.tar.gz", "w:gz") as archive:
        archive.add(made / "model.pt", "model.pt")
    shutil.copytree(TABULAR / "requests", clone / "requests")


def replace_the_network(clone: Path) -> None:
    """Put the regression's files over those of the digits, and its data in place of theirs."""
    for path in REGRESSION.glob("*.py"):
        shutil.copy(path, clone / "container" / "src" / "digits" / path.name)
    drawn = random.Random(1)
    rows = [[round(drawn.uniform(-1, 1), 3) for _ in range(10)] for _ in range(500)]
    lines = [",".join(map(str, [*row, round(sum(n * x for n, x in enumerate(row)) / 10, 4)])) for row in rows]
    data = clone / "container" / "local_test" / "opt" / "ml" / "input" / "data" / "training" / "numbers.csv"
    data.write_text("\n".join(lines) + "\n")
    shutil.rmtree(clone / MODEL)


def changed(clone: Path) -> set[str]:
    words = ["git", "-C", str(clone), "status", "--porcelain", "--untracked-files=all"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return {line[3:] for line in done.stdout.splitlines()}


def test_an_archive_is_recorded_and_checked_without_an_edit(clone: Path) -> None:
    bring_an_archive(clone)

    walked = walk("An archive as it is", clone, rehearsing=False)

    assert [line.split()[3] for line in walked] == ["record", "check"]
    assert changed(clone) <= {
        "model.tar.gz",
        "golden.jsonl",
        *(f"requests/{path.name}" for path in TABULAR.glob("requests/*")),
    }


def test_another_network_touches_its_own_folder_alone(clone: Path) -> None:
    replace_the_network(clone)

    walked = walk("Another network", clone, rehearsing=False)

    assert len(walked) == 3
    places = ("container/src/digits/", f"{MODEL}/", "container/local_test/opt/ml/input/")
    elsewhere = {path for path in changed(clone) if not path.startswith(places)}
    assert elsewhere == {"container/openapi.json"}  # written by digits.schema


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("title", ["An archive as it is", "Another network"])
def test_the_whole_page_ends_with_a_promoted_release(clone: Path, title: str) -> None:
    (bring_an_archive if title == "An archive as it is" else replace_the_network)(clone)

    walked = walk(title, clone, rehearsing=True)

    assert [line for line in walked if line.startswith("make rehearse")]


def test_the_keys_of_the_page_are_keys_of_the_config() -> None:
    (block,) = re.findall(r"^ *```yaml\n(.*?)^ *```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    stated = yaml.safe_load("\n".join(line.strip() for line in block.splitlines()))

    assert stated.keys() <= yaml.safe_load((ROOT / "config" / "staging.yaml").read_text()).keys() | {
        "golden",
        "packages",
    }
