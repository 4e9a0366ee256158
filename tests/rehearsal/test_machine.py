"""The choice between containers and processes, and the errors when neither can be had."""

from pathlib import Path

import pytest

from rehearsal import machine
from rehearsal.errors import RehearsalError
from rehearsal.machine import choose_instances

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set a PATH without docker, registry and nginx."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.starts_processes
def test_without_an_engine_instances_are_processes_and_one_line_says_why(no_docker: None) -> None:
    found = choose_instances(environ={})

    assert found.instances == "process"
    assert "no Docker engine answers" in found.reason
    assert "gunicorn alone (no nginx here)" in found.reason
    assert "\n" not in found.reason


@pytest.mark.starts_processes
@pytest.mark.parametrize(("requested", "environ"), [("docker", {}), ("auto", {"REQUIRE_DOCKER": "1"})])
def test_containers_that_are_demanded_and_missing_are_an_error_with_its_fix(
    no_docker: None, requested: str, environ: dict[str, str]
) -> None:
    with pytest.raises(
        RehearsalError, match=r"Containers are demanded, but no Docker engine answers\.\n  fix: "
    ):
        choose_instances(requested, environ)


def test_processes_can_be_asked_for_on_any_machine() -> None:
    assert choose_instances("process", {"REQUIRE_DOCKER": "1"}).instances == "process"


def test_the_base_image_is_read_from_the_dockerfile() -> None:
    assert f"FROM {machine.base_image()} AS pinned\n" in (ROOT / "container/Dockerfile").read_text()
