"""A front door with ECR and a registry, for tests with a Docker engine."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web
from moto.ecr.models import ecr_backends

from local_aws.registry import Ecr, Proxy, Registry
from local_aws.settings import ACCOUNT_ID, REGION
from testbed.tiny_instances import process_settings

Repository = tuple[str, Callable[..., Any]]
"""The name of a repository, and the function that creates it."""


class Front:
    """A front door with ECR only, and a docker command that logs in to it."""

    def __init__(self, registry: Registry, ecr: Ecr, url: str, root: Path) -> None:
        self.registry, self.ecr, self.url, self.root = registry, ecr, url, root
        self.address = url.removeprefix("http://")

    async def ask(self, action: str, **request: Any) -> Any:
        return await self.ecr.handle(action, request)

    async def docker(self, *arguments: str, login: bool = True) -> tuple[int, str]:
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

    async def push(self, image: str, name: str, **options: Any) -> tuple[int, str]:
        """Push a local image as NAME:TAG; return exit code, output."""
        reference = f"{self.address}/{name}"
        await self.docker("tag", image, reference)
        try:
            return await self.docker("push", reference, **options)
        finally:
            await self.docker("rmi", reference)


@asynccontextmanager
async def front(root: Path, **changes: Any) -> AsyncIterator[Front]:
    registry = Registry(process_settings(root, instances="docker", **changes))
    await registry.start()
    app = web.Application()
    runner = web.AppRunner(app)
    try:
        handler: list[Proxy] = []

        async def registry_door(request: web.Request) -> web.StreamResponse:
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


@contextmanager
def new_repository() -> Iterator[Repository]:
    """Offer the name of an ECR repository, and the function by which the test creates it in moto."""
    name = f"digits-{uuid4().hex[:8]}"
    backend = ecr_backends[ACCOUNT_ID][REGION]

    def create(mutability: str = "IMMUTABLE") -> Any:
        return backend.create_repository(name, None, None, None, mutability, [], None)

    yield name, create
    backend.repositories.pop(name, None)
