"""Fixtures of the container's tests: its modules on sys.path, the committed model, servers, the image."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "container"
sys.path.insert(0, str(CONTAINER / "src"))

from digits.project import DIGITS  # noqa: E402  # found on the path of the line above
from serving.engines import Choice, Engine, load  # noqa: E402  # found on the path of the line above
from tests.container.serve_process import COMMITTED, Serve  # noqa: E402

IMAGE = "sagemaker-pytorch-release:test"
REVISION = "0123456789abcdef0123456789abcdef01234567"
SOURCE = "https://example.org/digits"


@pytest.fixture
def engine() -> Engine:
    """Load the committed model into PyTorch."""
    return load(Choice("torch"), COMMITTED / "model", DIGITS.load_network)


def path_of(front: str, tmp_path: Path) -> str:
    """Return a PATH with nginx or without it."""
    if front == "gunicorn":
        return str(tmp_path)
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not on PATH")
    return os.environ["PATH"]


@pytest.fixture(params=["nginx", "gunicorn"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    """Start `serve` with environment variables, behind each front in turn; ended with the test."""
    started: list[Serve] = []

    def starter(**environment: str) -> Serve:
        server = Serve(environment, path=path_of(request.param, tmp_path))
        started.append(server)
        return server

    yield starter
    for server in started:
        server.end()


@pytest.fixture(scope="module", params=["nginx", "gunicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One `serve` behind each front, ready, for tests that do it no harm; bodies of up to 1 MB."""
    environment = {"RELEASE_ID": "abc-123", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"}
    serve = Serve(environment, path=path_of(request.param, tmp_path_factory.mktemp("no-nginx")))
    serve.await_ready()
    yield serve
    serve.end()


@pytest.fixture(scope="session")
def container_image() -> str:
    """Build the image from this checkout; unchanged layers are kept."""
    command = [str(CONTAINER / "build"), "--tag", IMAGE, "--revision", REVISION, "--source", SOURCE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    image_id: str = done.stdout.splitlines()[-1]
    return image_id
