"""What every test may rely on: a Docker engine for those that are marked so, or a reason why not."""

import os
import subprocess
from functools import cache

import pytest


@cache
def engine_problem() -> str | None:
    """Say why there is no Docker engine, or None when one answers."""
    try:
        answer = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=20
        )
    except FileNotFoundError:
        return "there is no docker command"
    except subprocess.TimeoutExpired:
        return "the docker command did not answer within 20 s"
    return None if answer.returncode == 0 else answer.stderr.strip().splitlines()[-1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is None:
        return
    problem = engine_problem()
    if problem is None:
        return
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but no Docker engine answers: {problem}")
    pytest.skip(f"needs a Docker engine: {problem}")
