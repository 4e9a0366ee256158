"""Two builds of the same content, neither with a layer of an earlier one, are the same image."""

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.container.engine_of_debian_13 import copy_image, engine_of_debian_13
from tests.debian_13 import needs_debootstrap, needs_root

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "container" / "build"
TAGS = ("sagemaker-pytorch-release:once", "sagemaker-pytorch-release:again")
SUBSTITUTE = "python:3.11-slim-bookworm"
pytestmark = [
    pytest.mark.docker,
    pytest.mark.matrix(only_in_prove=True),
    pytest.mark.starts_processes,
    pytest.mark.timeout(1700),
]


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def contents(archive: tarfile.TarFile, times: bool) -> dict[str, Any]:
    """Return kind, mode, owner, target and content of every file, and its time if wanted."""
    found: dict[str, Any] = {}
    for member in archive:
        file = archive.extractfile(member) if member.isreg() else None
        content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
        time = member.mtime if times else None
        found[member.name] = (member.type, member.mode, member.uid, member.gid, content, time)
    return found


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Name the files that are not the same in both."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def exported(image: str) -> dict[str, Any]:
    """Return the contents of an image of the machine's engine, without times."""
    container = docker("create", image)
    with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
        assert export.stdout is not None
        with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
            found = contents(archive, times=False)
    docker("rm", container)
    return found


def test_two_builds_of_the_same_content_have_the_same_files() -> None:
    """In the machine's own engine, whose builder may be unable to give all files one time."""
    try:
        for tag in TAGS:
            subprocess.run([BUILD, "--no-cache", "--tag", tag], check=True)
        first, second = (exported(tag) for tag in TAGS)
    finally:
        for tag in TAGS:
            subprocess.run(["docker", "image", "rm", tag], capture_output=True)

    assert differing(first, second) == []
    assert len(first) > 10_000


def build_archive(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Build the image anew as an OCI archive, and return what its index says of it."""
    subprocess.run([BUILD, "--no-cache", "--tag", TAGS[0], "--oci", file], env=environ, check=True)
    with tarfile.open(file) as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        (image,) = json.load(index)["manifests"]
    return dict(image)


def layers(file: Path, digest: str) -> list[dict[str, Any]]:
    """Return the contents of each layer of an OCI archive, with times."""

    def blob(name: str) -> str:
        return f"blobs/{name.replace(':', '/')}"

    found = []
    with tarfile.open(file) as archive:
        manifest = archive.extractfile(blob(digest))
        assert manifest is not None
        for each in json.load(manifest)["layers"]:
            with tarfile.open(fileobj=archive.extractfile(blob(each["digest"]))) as layer:
                found.append(contents(layer, times=True))
    return found


@needs_root
@needs_debootstrap
def test_two_builds_of_the_same_content_have_the_same_digest() -> None:
    substitute = bool(docker("image", "ls", "--quiet", "--filter", "label=substitute=debian-packages"))
    with engine_of_debian_13() as variables, tempfile.TemporaryDirectory(prefix="images-") as folder:
        if substitute:
            copy_image(SUBSTITUTE, variables)
        # A folder in PIP_FIND_LINKS, be it empty, has the build use the host's network: this engine has no other.
        environ = {"PIP_FIND_LINKS": folder, **os.environ, **variables}
        files = [Path(folder, name) for name in ("once.tar", "again.tar")]
        once, again = (build_archive(file, environ) for file in files)
        if once != again:
            pairs = zip(layers(files[0], once["digest"]), layers(files[1], again["digest"]), strict=True)
            pytest.fail(f"differing files by layer: {[differing(*pair)[:20] for pair in pairs]}")

    assert once["digest"].startswith("sha256:")
