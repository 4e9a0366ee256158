"""The OCI registry behind ECR: Debian's docker-registry, else the `registry` image."""

import asyncio
import time
from pathlib import Path

import aiohttp

from local_aws.instances.availability import REGISTRY_IMAGES, availability, registry_source
from local_aws.instances.engine import Engine
from local_aws.instances.started_resources import StartedResources
from local_aws.registry.backends import Backend, ImageBackend, ProgramBackend
from local_aws.registry.store import ImageStore
from local_aws.settings import Settings

_READY_SECONDS = 20.0
_POLL_SECONDS = 0.05


class RegistryError(Exception):
    """The registry did not start; the message has its log."""


class Registry:
    """One registry on an ephemeral loopback port, its images in `cache_dir`/registry.

    `url` is None before `start`, after `stop`, and where instances are processes: nothing pulls then.
    """

    def __init__(self, settings: Settings) -> None:
        self.url: str | None = None
        self._settings = settings
        self._storage = settings.cache_dir / "registry"
        self.store = ImageStore(self._storage)
        self._resources: StartedResources | None = None
        self._backend: Backend | None = None

    async def start(self) -> None:
        """Start the registry and wait until it answers. Raises RegistryError, UnavailableError."""
        chosen = await asyncio.to_thread(availability, self._settings)
        if chosen.kind != "docker":
            return
        self._storage.mkdir(parents=True, exist_ok=True)
        self._resources = StartedResources(self._settings.state_dir)
        try:
            self._backend = choose_backend(self._storage, self._resources)
            await self._backend.start()
            await wait_until_ready(self._backend)
        except BaseException:
            await self.stop()
            raise
        self.url = self._backend.url

    async def stop(self) -> None:
        """Stop the registry; its images stay. Repeatable."""
        self.url = None
        if self._backend is not None:
            await self._backend.stop()
            self._backend = None
        if self._resources is not None:
            self._resources.close()
            self._resources = None


def choose_backend(storage: Path, resources: StartedResources) -> Backend:
    """Choose the registry that this machine has. Raises RegistryError, EngineError."""
    engine = Engine()
    source = registry_source(engine)
    if source in REGISTRY_IMAGES:
        return ImageBackend(source, storage, resources, engine)
    engine.close()
    if source is None:
        raise RegistryError("There is neither docker-registry on PATH nor a registry image in the engine.")
    return ProgramBackend(source, storage, resources)


async def wait_until_ready(backend: Backend) -> None:
    """Wait until a registry answers. Raises RegistryError, with its log, when it does not."""
    end = time.monotonic() + _READY_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as session:
        while time.monotonic() < end:
            try:
                async with session.get(f"{backend.url}/v2/") as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_POLL_SECONDS)
    raise RegistryError(f"The registry did not answer within {_READY_SECONDS:.0f} s: {await backend.log()}")
