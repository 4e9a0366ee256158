"""Every example travels the whole way, as `make rehearse MODEL=…` takes it: also the one without any program."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.measures, pytest.mark.starts_processes, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "container" / "local_test" / "examples"
OTHER_EXAMPLES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "digits")
"""test_journey.py takes the digits."""
KINDS = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("process")]


def rehearse(example: str, instances: str, build: Path) -> dict[str, Any]:
    """Rehearse with an example; return its evidence."""
    words = ["--model", str(EXAMPLES / example), "--instances", instances, "--build", str(build)]
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", *words],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=1400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    evidence: dict[str, Any] = json.loads((build / "staging" / "evidence.json").read_text())
    return evidence


def require_promoted(evidence: dict[str, Any], build: Path) -> None:
    """Require that every gate passed, and that production serves the release that was verified."""
    promoted = json.loads((build / "production" / "deploy.json").read_text())["result"]
    refused = {gate["name"]: gate["reason"] for gate in evidence["gates"] if gate["verdict"] != "passed"}

    assert refused == {}
    assert evidence["verdict"] == "passed"
    assert promoted["release"] == evidence["release"]
    assert promoted["unchecked"] is False


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.parametrize("instances", KINDS)
@pytest.mark.parametrize("example", OTHER_EXAMPLES)
def test_every_example_travels_to_production(example: str, instances: str, tmp_path: Path) -> None:
    require_promoted(rehearse(example, instances, tmp_path / "build"), tmp_path / "build")
