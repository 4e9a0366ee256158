"""Layers pass the front door as streams."""

import asyncio
import hashlib
import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_aws.registry.ecr import TOKEN
from testbed.registry_front import Repository, front, new_repository

pytestmark = pytest.mark.docker


@pytest.fixture
def repository() -> Iterator[Repository]:
    with new_repository() as made:
        yield made


@pytest.mark.starts_processes
def test_a_layer_passes_the_front_door_without_being_held_in_memory(
    tmp_path: Path, repository: Repository
) -> None:
    """64 MB up and down, byte for byte, while this process grows by far less."""
    name, create = repository
    layer = os.urandom(1024 * 1024) * 64

    async def scenario() -> Any:
        async with front(tmp_path) as aws:
            create()
            return await asyncio.to_thread(_round_trip, aws.url, name, layer)

    location, same, grown = asyncio.run(scenario())

    assert location.startswith("/v2/")
    assert same
    assert grown < 48


def _round_trip(url: str, name: str, layer: bytes) -> Any:
    """Upload a blob in one PATCH and read it back; the Location, whether it is the same, MB grown."""
    process, peak, stop = psutil.Process(), [0], threading.Event()
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    headers = {"Authorization": f"Basic {TOKEN}"}
    before = process.memory_info().rss

    def watch() -> None:
        while not stop.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    def call(method: str, path: str, data: Any = None) -> Any:
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
