"""ECR with a real registry and a real engine: push, digests, immutable tags, pull by digest."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from moto.ecr.models import ecr_backends

from local_aws.errors import AwsError, LeftToMoto
from local_aws.instances import Launcher, LaunchError
from local_aws.instances.availability import REGISTRY_PROGRAM
from local_aws.instances.engine import Engine
from local_aws.instances.started_resources import StartedResources
from local_aws.registry.backends import ImageBackend
from local_aws.registry.ecr import TOKEN
from local_aws.registry.server import wait_until_ready
from local_aws.settings import ACCOUNT_ID, REGION
from testbed.registry_front import Repository, front, new_repository
from testbed.tiny_instances import built, files_below, healthy, process_settings, spec

pytestmark = [pytest.mark.docker, pytest.mark.starts_processes]
OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with built("FROM scratch\nCOPY serve /serve\n") as name:
        yield name


@pytest.fixture(scope="module")
def other_image() -> Iterator[str]:
    """Build the same file with another label, which gives another manifest."""
    with built("FROM scratch\nCOPY serve /serve\nLABEL other=yes\n") as name:
        yield name


@pytest.fixture(scope="module")
def serving_image() -> Iterator[str]:
    with built() as name:
        yield name


@pytest.fixture
def repository() -> Iterator[Repository]:
    with new_repository() as made:
        yield made


def test_a_pushed_image_has_in_ecr_the_digest_that_docker_printed(
    tmp_path: Path, serving_image: str, repository: Repository
) -> None:
    """And an instance made from that digest serves, as long as the repository is there."""
    name, create = repository

    async def scenario() -> Any:
        async with front(tmp_path) as aws:
            uri = create().uri
            code, said = await aws.push(serving_image, f"{name}:v1")
            assert code == 0, said
            (digest,) = re.findall(r"digest: (sha256:[0-9a-f]{64})", said)
            [detail] = (await aws.ask("DescribeImages", repositoryName=name, imageIds=[{"imageTag": "v1"}]))[
                "imageDetails"
            ]
            listed = await aws.ask("ListImages", repositoryName=name)
            [got] = (await aws.ask("BatchGetImage", repositoryName=name, imageIds=[{"imageTag": "v1"}]))[
                "images"
            ]
            served = await _serves(tmp_path, f"{uri}@{digest}")
            ecr_backends[ACCOUNT_ID][REGION].repositories.pop(name)
            with pytest.raises(LaunchError, match="does not exist in the registry"):
                await _serves(tmp_path, f"{uri}@{digest}")
            _, names = await aws.docker("images", "--digests", "--filter", f"reference={uri}")
            assert digest not in names  # the image has another name: this run's is gone
            return uri == f"{aws.address}/{name}", digest, detail, listed, got, served

    uri_is_ours, digest, detail, listed, got, served = asyncio.run(scenario())

    assert uri_is_ours
    assert detail["imageDigest"] == digest
    assert detail["imageTags"] == ["v1"]
    assert detail["imageSizeInBytes"] == _layer_bytes(json.loads(got["imageManifest"]))
    assert listed["imageIds"] == [{"imageDigest": digest, "imageTag": "v1"}]
    assert served
    assert not files_below(tmp_path / "state")


def test_what_docker_pushes_is_taken_by_sagemaker_and_the_same_as_oci_is_not(
    tmp_path: Path, image: str, repository: Repository
) -> None:
    """Docker pushes OCI where its image store is containerd's; the layers are the same."""
    name, create = repository

    async def scenario() -> tuple[str | None, int, str | None]:
        async with front(tmp_path) as aws:
            uri = create().uri
            code, said = await aws.push(image, f"{name}:v1")
            assert code == 0, said
            [got] = (await aws.ask("BatchGetImage", repositoryName=name, imageIds=[{"imageTag": "v1"}]))[
                "images"
            ]
            put = await _push_manifest(aws.url, name, "oci", _as_oci(json.loads(got["imageManifest"])))
            return aws.ecr.images.refused(f"{uri}:v1"), put, aws.ecr.images.refused(f"{uri}:oci")

    taken, status, refused = asyncio.run(scenario())

    assert taken is None
    assert status == 201
    assert refused is not None
    assert refused.startswith(f"Unsupported manifest media type {OCI} for image ")


def _as_oci(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of the same image as OCI writes it."""
    config = {**manifest["config"], "mediaType": "application/vnd.oci.image.config.v1+json"}
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    return {
        **manifest,
        "mediaType": OCI,
        "config": config,
        "layers": [{**each, **layer} for each in manifest["layers"]],
    }


async def _push_manifest(url: str, name: str, tag: str, manifest: dict[str, Any]) -> int:
    """Push a manifest, whose layers are there, by the registry's protocol; return the status."""
    headers = {"Content-Type": manifest["mediaType"], "Authorization": f"Basic {TOKEN}"}
    target = f"{url}/v2/{name}/manifests/{tag}"
    async with (
        aiohttp.ClientSession() as session,
        session.put(target, data=json.dumps(manifest), headers=headers) as answer,
    ):
        return answer.status


def test_an_immutable_tag_keeps_its_image_and_a_mutable_one_moves(
    tmp_path: Path, image: str, other_image: str, repository: Repository
) -> None:
    name, create = repository

    async def scenario() -> Any:
        async with front(tmp_path) as aws:
            made = create()
            first = await aws.push(image, f"{name}:v1")
            again = await aws.push(image, f"{name}:v1")
            other = await aws.push(other_image, f"{name}:v1")
            made.image_tag_mutability = "MUTABLE"
            moved = await aws.push(other_image, f"{name}:v1")
            untagged = await aws.ask("ListImages", repositoryName=name, filter={"tagStatus": "UNTAGGED"})
            return first, again, other, moved, untagged["imageIds"]

    first, again, other, moved, untagged = asyncio.run(scenario())

    assert first[0] == again[0] == 0
    assert other[0] != 0
    assert "tag is immutable" in other[1] or "repository is immutable" in other[1]
    assert moved[0] == 0
    assert [list(one) for one in untagged] == [["imageDigest"]]


def test_pushing_without_login_or_to_no_repository_is_refused_as_at_aws(
    tmp_path: Path, image: str, repository: Repository
) -> None:
    name, create = repository

    async def scenario() -> Any:
        async with front(tmp_path) as aws:
            create()
            return [
                await aws.push(image, f"{name}:v1", login=False),
                await aws.push(image, f"{name}-that-nobody-made:v1"),
            ]

    (no_login, no_login_said), (no_repository, no_repository_said) = asyncio.run(scenario())

    assert no_login != 0
    assert "no basic auth credentials" in no_login_said
    assert no_repository != 0
    assert "does not exist in the registry" in no_repository_said


def test_an_image_survives_the_run_that_pushed_it_until_its_repository_is_deleted(
    tmp_path: Path, image: str, repository: Repository
) -> None:
    """The warm cache: what has the same repository name and tag is there in the next run."""
    name, create = repository

    async def scenario() -> Any:
        async with front(tmp_path) as aws:
            create()
            assert (await aws.push(image, f"{name}:v1"))[0] == 0
        async with front(tmp_path) as aws:
            warm = await aws.ask("ListImages", repositoryName=name)
            with pytest.raises(AwsError, match="RepositoryNotEmptyException"):
                await aws.ask("DeleteRepository", repositoryName=name)
            with pytest.raises(LeftToMoto):
                await aws.ask("DeleteRepository", repositoryName=name, force=True)
            return warm["imageIds"], (await aws.ask("ListImages", repositoryName=name))["imageIds"]

    warm, deleted = asyncio.run(scenario())

    assert [one["imageTag"] for one in warm] == ["v1"]
    assert deleted == []


def test_the_registry_image_serves_where_the_program_is_missing(tmp_path: Path) -> None:
    """A stand-in for it is made from the program of this machine, under a name of its own."""
    program = shutil.which(REGISTRY_PROGRAM)
    if program is None:
        pytest.skip("there is no docker-registry to make the stand-in image from")
    (context := tmp_path / "context").mkdir()
    shutil.copy(program, context / "registry")
    (storage := tmp_path / "storage").mkdir()

    async def scenario(name: str) -> None:
        resources = StartedResources(tmp_path / "state")
        backend = ImageBackend(name, storage, resources, Engine())
        await backend.start()
        try:
            await wait_until_ready(backend)
        finally:
            await backend.stop()
            resources.close()

    base = "FROM python:3.11-slim-bookworm\nCOPY --chmod=755 registry /bin/registry\n"
    with built(base, context) as name:
        asyncio.run(scenario(name))

    assert not files_below(tmp_path / "state")


async def _serves(root: Path, image: str) -> bool:
    launcher = Launcher(process_settings(root, instances="docker"))
    try:
        instance = await launcher.launch(spec(image))
        await healthy(instance)
        return await instance.alive()
    finally:
        await launcher.close(grace_seconds=2.0)


def _layer_bytes(manifest: dict[str, Any]) -> int:
    return sum(int(part["size"]) for part in (manifest["config"], *manifest["layers"]))
