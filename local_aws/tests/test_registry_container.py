"""ECR with a real registry and a real engine: push, digests, immutable tags, pull by digest."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from aiohttp import web
from moto.ecr.models import ecr_backends

from local_aws.errors import AwsError, Elsewhere
from local_aws.instances import Launcher, LaunchError
from local_aws.instances.availability import REGISTRY_PROGRAM
from local_aws.instances.engine import Engine
from local_aws.instances.ledger import Ledger
from local_aws.registry import Ecr, Proxy, Registry
from local_aws.registry.backends import ImageBackend
from local_aws.registry.ecr import TOKEN
from local_aws.registry.server import wait_until_ready
from local_aws.settings import ACCOUNT_ID, REGION
from testbed.tiny_instances import built, files_below, healthy, process_settings, spec

pytestmark = [pytest.mark.docker, pytest.mark.starts_processes]


class Front:
    """A front door with ECR only, and a docker command that logs in to it."""

    def __init__(self, registry: Registry, ecr: Ecr, url: str, root: Path) -> None:
        self.registry, self.ecr, self.url, self.root = registry, ecr, url, root
        self.address = url.removeprefix("http://")

    async def ask(self, action, **request):
        return await self.ecr.handle(action, request)

    async def docker(self, *arguments, login=True):
        """Run the docker command; return exit code and everything it said."""
        token = (await self.ask("GetAuthorizationToken"))["authorizationData"][0]["authorizationToken"]
        config = self.root / f"docker-{login}"
        config.mkdir(exist_ok=True)
        auths = {self.address: {"auth": token}} if login else {}
        (config / "config.json").write_text(json.dumps({"auths": auths}))
        environ = {**os.environ, "DOCKER_CONFIG": str(config)}
        done = await asyncio.to_thread(
            subprocess.run, ["docker", *arguments], env=environ, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    async def push(self, image, name, **options):
        """Push a local image as NAME:TAG; return exit code, output."""
        reference = f"{self.address}/{name}"
        await self.docker("tag", image, reference)
        try:
            return await self.docker("push", reference, **options)
        finally:
            await self.docker("rmi", reference)


@asynccontextmanager
async def front(root: Path, **changes):
    registry = Registry(process_settings(root, instances="docker", **changes))
    await registry.start()
    app = web.Application()
    runner = web.AppRunner(app)
    try:
        handler: list[Proxy] = []

        async def registry_door(request):
            return await handler[0].handle(request)

        app.router.add_route("*", "/v2/{path:.*}", registry_door)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ecr = Ecr(registry, url)
        handler.append(Proxy(registry, ecr))
        yield Front(registry, ecr, url, root)
        await handler[0].close()
    finally:
        await runner.cleanup()
        await registry.stop()


@pytest.fixture(scope="module")
def image():
    with built("FROM scratch\nCOPY serve /serve\n") as name:
        yield name


@pytest.fixture(scope="module")
def other_image():
    """The same file, another label: another manifest."""
    with built("FROM scratch\nCOPY serve /serve\nLABEL other=yes\n") as name:
        yield name


@pytest.fixture(scope="module")
def serving_image():
    with built() as name:
        yield name


@pytest.fixture
def repository():
    """An ECR repository with immutable tags, as moto keeps it; made inside the test by calling it."""
    name = f"digits-{uuid4().hex[:8]}"
    backend = ecr_backends[ACCOUNT_ID][REGION]

    def create(mutability="IMMUTABLE"):
        return backend.create_repository(name, None, None, None, mutability, [], None)

    yield name, create
    backend.repositories.pop(name, None)


def test_a_pushed_image_has_in_ecr_the_digest_that_docker_printed(tmp_path, serving_image, repository):
    """And an instance made from that digest serves, as long as the repository is there."""
    name, create = repository

    async def scenario():
        async with front(tmp_path) as aws:
            uri = create().uri
            code, said = await aws.push(serving_image, f"{name}:v1")
            assert code == 0, said
            digest = re.search(r"digest: (sha256:[0-9a-f]{64})", said)[1]
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


def test_an_immutable_tag_keeps_its_image_and_a_mutable_one_moves(tmp_path, image, other_image, repository):
    name, create = repository

    async def scenario():
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


def test_pushing_without_login_or_to_no_repository_is_refused_as_at_aws(tmp_path, image, repository):
    name, create = repository

    async def scenario():
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
    tmp_path, image, repository
):
    """The warm cache: what has the same repository name and tag is there in the next run."""
    name, create = repository

    async def scenario():
        async with front(tmp_path) as aws:
            create()
            assert (await aws.push(image, f"{name}:v1"))[0] == 0
        async with front(tmp_path) as aws:
            warm = await aws.ask("ListImages", repositoryName=name)
            with pytest.raises(AwsError, match="RepositoryNotEmptyException"):
                await aws.ask("DeleteRepository", repositoryName=name)
            with pytest.raises(Elsewhere):
                await aws.ask("DeleteRepository", repositoryName=name, force=True)
            return warm["imageIds"], (await aws.ask("ListImages", repositoryName=name))["imageIds"]

    warm, deleted = asyncio.run(scenario())

    assert [one["imageTag"] for one in warm] == ["v1"]
    assert deleted == []


def test_a_layer_passes_the_front_door_without_being_held_in_memory(tmp_path, repository):
    """64 MB up and down, byte for byte, while this process grows by far less."""
    name, create = repository
    layer = os.urandom(1024 * 1024) * 64

    async def scenario():
        async with front(tmp_path) as aws:
            create()
            return await asyncio.to_thread(_round_trip, aws.url, name, layer)

    location, same, grown = asyncio.run(scenario())

    assert location.startswith("/v2/")
    assert same
    assert grown < 48


def test_the_registry_image_serves_where_the_program_is_missing(tmp_path):
    """A stand-in for it is made from the program of this machine, under a name of its own."""
    program = shutil.which(REGISTRY_PROGRAM)
    if program is None:
        pytest.skip("there is no docker-registry to make the stand-in image from")
    (context := tmp_path / "context").mkdir()
    shutil.copy(program, context / "registry")
    (storage := tmp_path / "storage").mkdir()

    async def scenario(name):
        ledger = Ledger(tmp_path / "state")
        backend = ImageBackend(name, storage, ledger, Engine())
        await backend.start()
        try:
            await wait_until_ready(backend)
        finally:
            await backend.stop()
            ledger.close()

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


def _layer_bytes(manifest) -> int:
    return manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])


def _round_trip(url, name, layer):
    """Upload a blob in one PATCH and read it back; the Location, whether it is the same, MB grown."""
    process, peak, stop = psutil.Process(), [0], threading.Event()
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    headers = {"Authorization": f"Basic {TOKEN}"}
    before = process.memory_info().rss

    def watch():
        while not stop.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    def call(method, path, data=None):
        request = urllib.request.Request(f"{url}{path}", data=data, headers=headers, method=method)
        request.add_header("Content-Type", "application/octet-stream")
        return urllib.request.urlopen(request, timeout=60)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with call("POST", f"/v2/{name}/blobs/uploads/") as answer:
            location = answer.headers["Location"]
        with call("PATCH", location, (layer[i : i + 65536] for i in range(0, len(layer), 65536))) as answer:
            location = answer.headers["Location"]
        with call("PUT", f"{location}&digest={digest}", b""):
            pass
        read = hashlib.sha256()
        with call("GET", f"/v2/{name}/blobs/{digest}") as answer:
            while chunk := answer.read(65536):
                read.update(chunk)
    finally:
        stop.set()
        watcher.join()
    return location, f"sha256:{read.hexdigest()}" == digest, peak[0] / 1e6
