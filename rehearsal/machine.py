"""What this machine can rehearse with: containers, or processes of the same `serve`."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rehearsal.progress import Row

ROOT = Path(__file__).parents[1]
PULL_SECONDS = 120.0


class RehearsalError(Exception):
    """The rehearsal cannot go on: what happened, and how to fix it."""

    def __init__(self, what: str, *, fix: str, exit_code: int = 1) -> None:
        super().__init__(f"{what}\n  fix: {fix}")
        self.exit_code = exit_code
        self.rows: list[Row] = []  # how far the journey had come


@dataclass(frozen=True)
class Machine:
    """How endpoint instances run here, and why."""

    instances: Literal["docker", "process"]
    reason: str


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where what is expensive to make is kept between runs, by content."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sagemaker-pytorch-release"


def base_image() -> str:
    """The image that container/Dockerfile starts from."""
    found = re.search(
        r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "container" / "Dockerfile").read_text(), re.MULTILINE
    )
    if found is None:
        raise RehearsalError(
            "container/Dockerfile has no line `ARG BASE_IMAGE=...`.",
            fix="Name the base image in an argument of that name, on a line of its own.",
        )
    return found.group(1)


def _succeeds(*command: str, seconds: float = 20.0) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _has_image(name: str) -> bool:
    return _succeeds("docker", "image", "inspect", name) or _succeeds(
        "docker", "pull", "-q", name, seconds=PULL_SECONDS
    )


def _why_no_containers() -> str | None:
    if not _succeeds("docker", "info"):
        return "no Docker engine answers"
    if shutil.which("docker-registry") is None and not _has_image("registry:2"):
        return (
            "the Docker engine has no registry: neither `docker-registry` nor the image registry:2 can be had"
        )
    if not _has_image(base_image()):
        return f"the base image {base_image()} is not here and cannot be pulled"
    return None


def look(wanted: str = "auto", environ: Mapping[str, str] = os.environ) -> Machine:
    """Decide whether instances are containers or processes.

    Raises RehearsalError when containers are demanded (`wanted="docker"` or REQUIRE_DOCKER=1) and
    cannot be had.
    """
    if wanted == "process":
        return Machine("process", "asked for; each is a process running container/src/serve")
    why_not = _why_no_containers()
    if why_not is None:
        return Machine("docker", "containers of the image published by this rehearsal")
    if wanted == "docker" or environ.get("REQUIRE_DOCKER") == "1":
        raise RehearsalError(
            f"Containers are demanded, but {why_not}.",
            fix="Start an engine (.ci/run shows how on Debian), or unset REQUIRE_DOCKER and use processes.",
        )
    front = "nginx and gunicorn" if shutil.which("nginx") else "gunicorn alone (no nginx here)"
    return Machine("process", f"{why_not}; each is a process running container/src/serve, {front}")
