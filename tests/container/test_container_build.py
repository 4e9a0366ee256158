"""`container/build` finds a builder, and tells pip in the build what pip here is told."""

import urllib.request
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from tests.container.serving import CONTAINER


@pytest.fixture
def build() -> Any:
    """The script as a module."""
    loader = SourceFileLoader("container_build", str(CONTAINER / "build"))
    spec = spec_from_loader("container_build", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def program(directory: Path, name: str, code: int) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)


def test_a_docker_with_buildx_is_preferred(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", 0)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.builder()[:3] == [str(tmp_path / "docker"), "buildx", "build"]


def test_without_docker_the_build_says_what_to_install(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["build", "--tag", "x:y"])

    assert build.main() == 1
    assert capsys.readouterr() == (
        "",
        "container/build: there is no docker command; install Docker, or run `.ci/run` on Debian\n",
    )


def test_a_directory_of_wheels_is_served_on_loopback_while_the_build_runs(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.whl").write_bytes(b"wheel")
    monkeypatch.setenv("PIP_FIND_LINKS", f"https://example.org/wheels {tmp_path}")

    with build.find_links() as (links, is_local):
        assert is_local
        assert links[0] == "https://example.org/wheels"
        assert links[1].startswith("http://127.0.0.1:")
        with urllib.request.urlopen(links[1] + "torch.whl") as answer:
            assert answer.read() == b"wheel"

    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(links[1] + "torch.whl")


def test_pip_in_the_build_knows_the_indexes_known_here(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.org/simple")

    assert build.pip_config(["http://127.0.0.1:1/"]) == (
        "[global]\nindex-url = https://index.example.org/simple\nfind-links = http://127.0.0.1:1/\n"
    )


def test_the_base_image_stays_on_a_line_of_its_own() -> None:
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()

    assert "ARG BASE_IMAGE=python:3.11-slim-bookworm" in lines
