"""The registry as a program, or as its image in a container."""

import asyncio
import json
import os
import secrets
import signal
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import docker.errors

from local_aws.instances import process_tree
from local_aws.instances.engine import LABEL, Engine
from local_aws.instances.reserved_port import ReservedPort
from local_aws.instances.started_resources import MARK, Record, StartedResources

_GRACE_SECONDS = 5.0
_STORAGE, _CONFIG, _PORT = "/var/lib/registry", "/local-aws.yml", "5000/tcp"


class Backend(Protocol):
    """A running registry; `url` answers once it is ready."""

    url: str

    async def start(self) -> None:
        """Start the registry, recorded on disk first."""
        ...

    async def log(self) -> str:
        """Return the log."""
        ...

    async def stop(self) -> None:
        """Stop the registry and leave nothing behind."""
        ...


class ProgramBackend:
    """The registry as a process."""

    def __init__(self, program: str, storage: Path, resources: StartedResources) -> None:
        self._program, self._storage, self._resources = program, storage, resources
        self._record = Record(_new_id(), "process")
        self._port = ReservedPort()
        self._server: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{self._port.number}"

    async def start(self) -> None:
        self._resources.write(self._record)
        folder = self._resources.folder(self._record.id)
        (folder / "config.yml").write_text(configuration(self._storage, f"127.0.0.1:{self._port.number}"))
        with (folder / "log").open("wb") as log:
            self._server = await asyncio.create_subprocess_exec(
                *(self._program, "serve", str(folder / "config.yml")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), MARK: self._record.id},
                start_new_session=True,
            )

    async def log(self) -> str:
        return (self._resources.directory / self._record.id / "log").read_text(errors="replace")

    async def stop(self) -> None:
        if self._server is not None and self._server.returncode is None:
            with suppress(ProcessLookupError):
                self._server.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait(), _GRACE_SECONDS)
        await asyncio.to_thread(process_tree.kill, self._record)
        if self._server is not None:
            await self._server.wait()
        self._resources.forget(self._record.id)
        self._port.release()


class ImageBackend:
    """The registry as a container, as this user, so that the storage stays this user's."""

    def __init__(self, image: str, storage: Path, resources: StartedResources, engine: Engine) -> None:
        self._image, self._storage, self._resources, self._engine = image, storage, resources, engine
        self._record = Record(_new_id(), "container")
        self.url = ""

    async def start(self) -> None:
        self._resources.write(self._record)
        await self._engine.run(self._run)

    def _run(self) -> None:
        config = self._resources.folder(self._record.id) / "config.yml"
        config.write_text(configuration(Path(_STORAGE), "0.0.0.0:5000"))
        container = self._engine.client.containers.run(
            self._image,
            ["serve", _CONFIG],
            entrypoint="registry",
            name=f"local-aws-{self._record.id}",
            labels={LABEL: self._record.id},
            user=f"{os.getuid()}:{os.getgid()}",
            ports={_PORT: ("127.0.0.1", 0)},
            volumes={
                str(self._storage): {"bind": _STORAGE, "mode": "rw"},
                str(config): {"bind": _CONFIG, "mode": "ro"},
            },
            detach=True,
        )
        container.reload()
        published = container.ports.get(_PORT)
        self.url = f"http://127.0.0.1:{published[0]['HostPort']}" if published else ""

    async def log(self) -> str:
        return await self._engine.run(self._read_log)

    def _read_log(self) -> str:
        try:
            container = self._engine.client.containers.get(f"local-aws-{self._record.id}")
        except docker.errors.NotFound:
            return ""
        return container.logs(tail=100).decode(errors="replace")

    async def stop(self) -> None:
        await self._engine.run(self._engine.remove_labelled, self._record.id)
        self._resources.forget(self._record.id)
        self._engine.close()


def configuration(storage: Path, address: str) -> str:
    """Write the registry's configuration (JSON is YAML): plain HTTP, no cache."""
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
        },
        "http": {"addr": address, "secret": secrets.token_hex(16), "relativeurls": True},
    }
    return json.dumps(settings, indent=1)


def _new_id() -> str:
    return f"registry-{secrets.token_hex(6)}"
