"""`container/build` finds a builder, and tells pip in the build what pip here is told."""

import argparse
import json
import platform
import re
import urllib.request
from importlib.machinery import SourceFileLoader
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from digits.schema import INTERFACE
from tests.container.serve_process import CONTAINER


@pytest.fixture
def build() -> Any:
    """Load the script as a module."""
    loader = SourceFileLoader("container_build", str(CONTAINER / "build"))
    spec = spec_from_loader("container_build", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def program(directory: Path, name: str, code: int, says: str = "") -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{says}\nEND\nexit {code}\n")
    path.chmod(0o755)


@pytest.mark.starts_processes
def test_a_docker_with_buildx_is_preferred(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", 0)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.builder(None)[:3] == [str(tmp_path / "docker"), "buildx", "build"]


def test_more_packages_are_handed_to_the_build_as_text(build: Any, tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("pillow==13.0.0\n")
    chosen = argparse.Namespace(
        variant="cpu", base_image=None, revision="a", source="b", packages=tmp_path / "packages.txt"
    )

    assert build.build_arguments(chosen)["PACKAGES"] == "pillow==13.0.0\n"
    chosen.packages = None
    assert "PACKAGES" not in build.build_arguments(chosen)


def test_layers_are_kept_once_and_taken_from_then_on(build: Any, tmp_path: Path) -> None:
    assert build.layer_cache("") == []
    assert build.layer_cache(str(tmp_path)) == ["--cache-to", f"type=local,dest={tmp_path},mode=max"]
    (tmp_path / "index.json").write_text("{}")
    assert build.layer_cache(str(tmp_path)) == ["--cache-from", f"type=local,src={tmp_path}"]


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


def test_the_base_image_is_a_literal_with_a_digest_for_dependabot() -> None:
    """Both stages that need one take it, unless BASE_IMAGE names another."""
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]

    assert "ARG BASE_IMAGE=pinned" in lines
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", stages[0])
    assert stages[1:] == ["${BASE_IMAGE}", "${BASE_IMAGE}"]


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("label", "base"), [("debian-packages", "python:3.11-slim-bookworm"), ("", None), ("<no value>", None)]
)
def test_a_substitute_is_taken_only_where_one_was_made(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str, base: str | None
) -> None:
    """It has a digest of its own, so that the pinned name does not lead to it."""
    program(tmp_path, "docker", 0, says=label)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.substitute() == base


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("driver", "output"),
    [
        ("docker-container", "type=docker,oci-mediatypes=false,rewrite-timestamp=true"),
        ("docker", "type=docker,oci-mediatypes=false"),  # refuses the other: it unpacks the image itself
    ],
)
def test_a_builder_of_its_own_gives_all_files_one_time(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, output: str
) -> None:
    program(tmp_path, "docker", 0, says=f"Name: b\nDriver:        {driver}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert build.builder(None)[-2:] == ["--output", output]


@pytest.mark.starts_processes
def test_a_platform_is_handed_to_the_builder_and_a_failure_names_the_emulator(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    says = tmp_path / "said"
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$2" = version ] || [ "$1" = image ] && exit 0\necho "$@" >>{says}\nexit 1\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    foreign = "linux/amd64" if platform.machine() in ("aarch64", "arm64") else "linux/arm64"
    monkeypatch.setattr("sys.argv", ["build", "--tag", "x:y", "--platform", foreign])

    assert build.main() == 1
    assert f"--platform {foreign}" in says.read_text()
    assert f"{foreign} is not this machine's" in capfd.readouterr().err
    assert build.emulator(None) == ""


@pytest.mark.starts_processes
def test_an_archive_has_files_of_one_time_by_whatever_builder(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", 0, says="Name: b\nDriver:        docker\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    output = "type=oci,dest=image.tar,rewrite-timestamp=true"
    assert build.builder(Path("image.tar"))[-2:] == ["--output", output]


@pytest.mark.starts_processes
def test_an_archive_needs_buildx(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "docker", 1)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(build.BuildFailed, match="no buildx, which --oci needs; install docker-buildx"):
        build.builder(Path("image.tar"))


def test_bytecode_names_no_time_of_its_source() -> None:
    """Python would compile anew at every start what has another time than its bytecode says."""
    dockerfile = (CONTAINER / "Dockerfile").read_text()

    assert (
        dockerfile.count("install --no-compile")
        == dockerfile.count("pip --python /opt/venv/bin/python install")
        == 3
    )
    assert dockerfile.count("compileall") == dockerfile.count("--invalidation-mode unchecked-hash") == 2


def test_the_labels_say_which_archives_fit(build: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["build", "--labels"])

    assert build.main() == 0
    labels = json.loads(capsys.readouterr().out)
    assert labels["sagemaker-pytorch-release.request-response"] == INTERFACE.digest
    engines = dict(pin.split("==") for pin in labels["sagemaker-pytorch-release.engines"].split())
    assert engines == {name: version(name) for name in engines}
    assert set(engines) == {"onnxruntime", "openvino", "torch"}


def test_the_digest_leaves_descriptions_out_and_nothing_else(build: Any, tmp_path: Path) -> None:
    document = json.loads((CONTAINER / "openapi.json").read_text())
    for name in ("torch.txt", "requirements.txt"):
        (tmp_path / name).write_text((CONTAINER / name).read_text())

    def digest() -> str:
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        return str(build.labels("cpu", tmp_path)["sagemaker-pytorch-release.request-response"])

    before = digest()
    instances = document["components"]["schemas"]["Request"]["properties"]["instances"]
    instances["description"] = "Something else."
    assert digest() == before
    instances["maxItems"] -= 1
    assert digest() != before


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("cpu", {"VARIANT": "cpu", "TORCH": "torch.txt", "ENGINE": "auto"}),
        ("cuda", {"VARIANT": "cuda", "TORCH": "torch-cuda.txt", "ENGINE": "torch"}),
    ],
)
def test_a_variant_is_a_few_build_arguments_that_the_dockerfile_has(
    build: Any, variant: str, told: dict[str, str]
) -> None:
    arguments = argparse.Namespace(packages=None, variant=variant, base_image=None, revision="r", source="s")
    dockerfile = (CONTAINER / "Dockerfile").read_text()

    found = build.build_arguments(arguments)

    assert found == {**told, "REVISION": "r", "SOURCE": "s"}
    assert all(f"\nARG {name}=" in dockerfile for name in found)
    assert (CONTAINER / found["TORCH"]).is_file()
    assert build.labels(variant)["sagemaker-pytorch-release.variant"] == variant


def test_the_variants_differ_in_torch_alone() -> None:
    def pins(name: str) -> set[str]:
        return {line for line in (CONTAINER / name).read_text().splitlines() if "==" in line}

    assert pins("torch.txt") - pins("torch-cuda.txt") == {"torch==2.13.0+cpu"}
    assert pins("torch-cuda.txt") - pins("torch.txt") == {"torch==2.13.0"}


def test_what_is_edited_is_copied_after_what_takes_minutes() -> None:
    dockerfile = (CONTAINER / "Dockerfile").read_text()
    slow = ("pip --python", "apt-get install", "COPY --from=packages")

    assert all(dockerfile.rindex(step) < dockerfile.index(" container/src /opt/program") for step in slow)


def test_the_context_is_what_the_dockerfile_copies_with_golden_in_place_of_its_link() -> None:
    """The link leads out of container/src, and to nothing in the image."""
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:] for line in lines if line.startswith("COPY") and "--from" not in line]
    sources = {word for words in copies for word in words[:-1] if not word.startswith("--")}
    ignored = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()

    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == sources
    assert ["--chmod=755", "golden", "/opt/program/golden"] in copies
    assert (CONTAINER / "src" / "golden").readlink() == Path("../../golden")
    assert ignored.index("container/src/golden") > ignored.index("!container/src")
