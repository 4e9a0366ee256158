"""Tools for tests of instances: the tiny server as process or image, a spec for it, and its launcher."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from local_aws.instances import Instance, InstanceSpec, Launcher
from local_aws.instances.cgroup import Cgroup, usable_parent
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


def no_control_group(_: str) -> Cgroup | None:
    """Find none, as on a machine where no control group can be made."""
    return None


@asynccontextmanager
async def launching(
    root: Path, find_control_group: Callable[[str], Cgroup | None] = usable_parent, **changes: Any
) -> AsyncIterator[Launcher]:
    """Have a launcher of tiny processes while the block lasts."""
    launcher = Launcher(process_settings(root, **changes), find_control_group)
    try:
        yield launcher
    finally:
        await launcher.close(grace_seconds=2.0)


async def is_gone(instance: Instance) -> bool:
    """Check whether the program of an instance has ended."""
    return not await instance.alive()


async def healthy(instance: Instance) -> None:
    await wait_until_async(instance.ping, f"{instance.id} is healthy")


async def said(instance: Instance) -> str:
    """Return the end of its log as text."""
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
    """Build an image (by default the tiny server) under a new name, and remove it afterwards."""
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
