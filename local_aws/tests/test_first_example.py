"""The README's first example runs as it is printed: in this environment, and in an empty one after `pip install`."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
INSTALL, RUN = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
ROLLED_BACK = "InService on good because The deployment was rolled back: in ALARM state: errors."
ONLY_SYSTEM_PATH = "/usr/bin:/bin"


def shell(commands: str, programs: Path, scratch: Path, folder: Path, seconds: float) -> str:
    """Run commands as a person types them in an activated environment; return what they print."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "LOCAL_AWS_", "PYTHON"))}
    places = {f"LOCAL_AWS_{place}_DIR": str(scratch / place.lower()) for place in ("STATE", "CACHE")}
    environ = inherited | places | {"PATH": f"{programs}:{ONLY_SYSTEM_PATH}"}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environ, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.starts_processes
def test_the_example_of_the_readme_is_rolled_back_by_its_alarm(tmp_path: Path) -> None:
    (tmp_path / "canary.py").write_text(SCRIPT)

    printed = shell(RUN, Path(sys.executable).parent, tmp_path, tmp_path, 120)

    assert printed.strip() == ROLLED_BACK
    assert ROLLED_BACK in README


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.timeout(900)
def test_the_readme_begins_in_an_empty_environment(tmp_path: Path) -> None:
    """Only the package registry is reachable; there is no `aws` on PATH before, and no file of the repository."""
    environment, folder = tmp_path / "empty", tmp_path / "folder"
    venv.create(environment, with_pip=True)
    folder.mkdir()
    (folder / "local_aws").symlink_to(PROJECT)
    (folder / "canary.py").write_text(SCRIPT)

    listed = shell(INSTALL, environment / "bin", tmp_path, folder, 600)
    printed = shell(RUN, environment / "bin", tmp_path, folder, 120)

    assert listed.rstrip().endswith('{\n    "Endpoints": []\n}')
    assert printed.strip() == ROLLED_BACK
