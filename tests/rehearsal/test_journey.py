"""`make rehearse` as a person runs it: from training data to a promoted production endpoint."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.measures, pytest.mark.starts_processes]

ROOT = Path(__file__).parents[2]
KINDS = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("process")]


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("instances", KINDS)
def test_a_release_travels_to_another_account(instances: str, tmp_path: Path) -> None:
    build, config = tmp_path / "rehearsal", ROOT / "config" / "examples" / "two-accounts"
    places = ["--config", str(config), "--build", str(build)]
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--instances", instances, *places],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=1100,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    copied = json.loads((build / "production" / "replicate.json").read_text())["result"]
    promoted = json.loads((build / "production" / "deploy.json").read_text())["result"]
    assert promoted["release"] == copied["release"]
    assert any("copy weights" in each for each in copied["copied"])
    assert "210987654321, eu-central-1" in done.stdout


@pytest.mark.matrix(only_in_prove=True)  # `make rehearse` is this journey
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("instances", KINDS)
def test_a_release_travels_from_training_data_to_production(instances: str, tmp_path: Path) -> None:
    build = tmp_path / "rehearsal"
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--instances", instances, "--build", str(build)],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=1100,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    release = json.loads((build / "release.json").read_text())["id"]
    evidence = json.loads((build / "staging" / "evidence.json").read_text())
    promoted = json.loads((build / "production" / "deploy.json").read_text())["result"]
    assert evidence["release"] == release
    assert evidence["verdict"] == "passed"
    assert {gate["verdict"] for gate in evidence["gates"]} == {"passed"}
    assert promoted["release"] == release
    assert f"release {release}" in done.stdout
    assert (build / "report.html").stat().st_size > 10_000
    if os.environ.get("KEEP_REHEARSAL"):
        shutil.copytree(build, os.environ["KEEP_REHEARSAL"], dirs_exist_ok=True)
