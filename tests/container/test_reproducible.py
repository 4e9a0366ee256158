"""Two builds of the same content, neither with a layer of an earlier one, are the same image."""

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TAGS = ("sagemaker-pytorch-release:once", "sagemaker-pytorch-release:again")
pytestmark = [
    pytest.mark.docker,
    pytest.mark.matrix(only_in_prove=True),
    pytest.mark.starts_processes,
    pytest.mark.timeout(1700),
]


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def contents(image: str) -> dict[str, Any]:
    """Return kind, mode, owner, target and content of every file of an image, but no times."""
    container = docker("create", image)
    found: dict[str, Any] = {}
    with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as exported:
        assert exported.stdout is not None
        with tarfile.open(fileobj=exported.stdout, mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
                found[member.name] = (member.type, member.mode, member.uid, member.gid, content)
    docker("rm", container)
    return found


def has_own_builder() -> bool:
    """Return whether the builder can give all files one time; Debian's BuildKit of 2022 cannot."""
    described = subprocess.run(["docker", "buildx", "inspect"], capture_output=True, text=True)
    return "docker-container" in described.stdout


def test_two_builds_of_the_same_content_are_the_same_image() -> None:
    """By digest where the builder can rewrite times, else by everything but the times."""
    try:
        for tag in TAGS:
            subprocess.run([ROOT / "container" / "build", "--no-cache", "--tag", tag], check=True)
        once, again = (docker("image", "inspect", "--format", "{{.Id}}", tag) for tag in TAGS)
        if has_own_builder():
            assert once == again
        first, second = (contents(tag) for tag in TAGS)
    finally:
        for tag in TAGS:
            subprocess.run(["docker", "image", "rm", tag], capture_output=True)

    differing = {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
    assert sorted(differing) == []
    assert len(first) > 10_000
