"""What the tests of instances share: the tiny server, a spec for it, and waits with a bound."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from local_aws.instances import Instance, InstanceSpec
from local_aws.settings import Settings
from local_aws.testing import wait_until_async

SERVE = Path(__file__).parent / "tiny_serve" / "serve"
CPU_SCALE = 0.1  # of ml.m5.large: a fifth of one CPU


def process_settings(root: Path, **changes: Any) -> Settings:
    values = {
        "instances": "process",
        "process_command": (sys.executable, str(SERVE)),
        "state_dir": root / "state",
    }
    return Settings(**{**values, "cache_dir": root / "cache", **changes})


def spec(image: str = "any", model: Path | None = None, **environment: str) -> InstanceSpec:
    return InstanceSpec(
        "digits", "AllTraffic", "digits-1", image, environment, model, "ml.m5.large", CPU_SCALE
    )


async def wait_until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 10.0) -> None:
    """Poll a condition; fail with a sentence when it does not hold in time."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def healthy(instance: Instance) -> None:
    await wait_until_async(instance.ping, f"{instance.id} is healthy")


async def said(instance: Instance) -> str:
    """The end of its log, as text."""
    return "".join(f"{line.text}\n" for line in await instance.lines())


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


async def about(instance: Instance, path: str = "/about") -> Any:
    return await asyncio.to_thread(get, instance.url + path)


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if not path.is_dir()]


@contextmanager
def built(dockerfile: str | None = None, context: Path = SERVE.parent) -> Iterator[str]:
    """An image (the tiny server, unless told otherwise) under a name of its own, removed afterwards."""
    name = f"tiny-{uuid4().hex[:12]}"
    docker_command = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"  # it has BuildKit
    build = [
        docker_command,
        "build",
        "--quiet",
        "--tag",
        name,
        *(("-f", "-") if dockerfile else ()),
        str(context),
    ]
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    made = subprocess.run(build, input=dockerfile, env=environ, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    try:
        yield name
    finally:
        subprocess.run([docker_command, "rmi", "--force", name], check=True, capture_output=True)
