"""The capabilities of this machine: endpoint instances as containers, or as processes of the same `serve`."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rehearsal.errors import RehearsalError

ROOT = Path(__file__).parents[1]
PULL_SECONDS = 120.0


@dataclass(frozen=True)
class Machine:
    """The kind of endpoint instances, and the reason for the choice."""

    instances: Literal["docker", "process"]
    reason: str


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that keeps trained models between runs, by content."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sagemaker-pytorch-release"


def base_image() -> str:
    """Return the base image that container/Dockerfile names, with its digest."""
    found = re.search(
        r"^FROM (\S+@sha256:\S+) AS pinned$", (ROOT / "container" / "Dockerfile").read_text(), re.MULTILINE
    )
    if found is None:
        raise RehearsalError(
            "container/Dockerfile has no line `FROM ...@sha256:... AS pinned`.",
            fix="Name the base image by tag and digest in the first stage, on a line of its own.",
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


def _container_problem() -> str | None:
    """Return the reason why containers cannot run here; None when they can."""
    if not _succeeds("docker", "info"):
        return "no Docker engine answers"
    if shutil.which("docker-registry") is None and not _has_image("registry:2"):
        return "the Docker engine has no registry: neither `docker-registry` nor the image registry:2 is available"
    substitute = base_image().partition("@")[0]  # by .ci/base-image
    if not _succeeds("docker", "image", "inspect", substitute) and not _has_image(base_image()):
        return f"the base image {base_image()} is not here and cannot be pulled"
    return None


def choose_instances(requested: str = "auto", environ: Mapping[str, str] = os.environ) -> Machine:
    """Choose containers where this machine can run them, else processes.

    Raises RehearsalError when containers are required (`requested="docker"` or REQUIRE_DOCKER=1) and cannot run.
    """
    if requested == "process":
        return Machine("process", "asked for; each is a process running container/src/serve")
    problem = _container_problem()
    if problem is None:
        return Machine("docker", "containers of the image published by this rehearsal")
    if requested == "docker" or environ.get("REQUIRE_DOCKER") == "1":
        raise RehearsalError(
            f"Containers are demanded, but {problem}.",
            fix="Start an engine (.ci/run shows how on Debian), or unset REQUIRE_DOCKER and use processes.",
        )
    front = "nginx and gunicorn" if shutil.which("nginx") else "gunicorn alone (no nginx here)"
    return Machine("process", f"{problem}; each is a process running container/src/serve, {front}")
