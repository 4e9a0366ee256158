"""`train` as SageMaker starts it, run to its end: as a container or as a process of this machine.

`root` stands for /opt/ml: the caller puts `input/` there before `run`, and finds `model/` and `output/`
there afterwards. A run has the memory of its instance type (containers only) and the lowest CPU weight,
but no quota: learning takes as long as this machine needs.
"""

import asyncio
import io
import math
import os
import signal
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import docker.errors
import requests
from docker.models.containers import Container
from docker.types import LogConfig

from local_aws.instances import process_tree
from local_aws.instances.engine import LABEL, Engine, EngineError
from local_aws.instances.instance import LaunchError, new_id
from local_aws.instances.instance_types import instance_type
from local_aws.instances.process import is_private
from local_aws.instances.started_resources import MARK, Record, StartedResources
from local_aws.tar_files import extract

POLL_SECONDS = 0.2
LOG_BYTES = 1024 * 1024
LOWEST_SHARES = 2


@dataclass(frozen=True)
class TrainingSpec:
    """The requirements of a training job for its one instance."""

    image: str
    environment: Mapping[str, str]
    instance_type: str


class Training(Protocol):
    """One run of `train`."""

    root: Path
    stopped: bool

    async def run(self) -> int:
        """Run `train` and return its exit code. Raises LaunchError when it cannot be started."""
        ...

    async def terminate(self, grace_seconds: float) -> None:
        """End the run: SIGTERM, then SIGKILL after `grace_seconds`; `run` then returns."""
        ...

    async def logs(self) -> str:
        """Return the end of the log of `train`; until `stop`."""
        ...

    async def stop(self, grace_seconds: float = 30.0) -> None:
        """Terminate, and remove every trace. Repeatable."""
        ...


class _Run:
    """The common part of both kinds: an id, a record on disk and the files of the run."""

    def __init__(self, spec: TrainingSpec, resources: StartedResources) -> None:
        self.id = new_id()
        self._spec, self._resources = spec, resources
        self.root = resources.folder(self.id) / "opt-ml"
        for directory in ("input/config", "input/data", "model", "output/data"):
            (self.root / directory).mkdir(parents=True)
        self.stopped = False


class ProcessTraining(_Run):
    """`train` as a process in a session of its own, at the lowest priority; its memory is not limited."""

    def __init__(self, spec: TrainingSpec, resources: StartedResources, command: tuple[str, ...]) -> None:
        super().__init__(spec, resources)
        self._command = command
        self._record = Record(self.id, "process")
        self._train: asyncio.subprocess.Process | None = None
        self._log = self.root.parent / "log"

    async def run(self) -> int:
        self._resources.write(self._record)
        inherited = {name: value for name, value in os.environ.items() if not is_private(name)}
        environ = {**inherited, **self._spec.environment, "SAGEMAKER_BASE_DIR": str(self.root), MARK: self.id}
        try:
            with self._log.open("wb") as log:
                self._train = await asyncio.create_subprocess_exec(
                    *("nice", "-n", "19", *self._command),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    env=environ,
                    start_new_session=True,
                )
        except OSError as error:
            raise LaunchError(f"{self._command[0]} cannot be run: {error}") from error
        pid = self._train.pid
        self._record = replace(self._record, pid=pid, started=process_tree.start_time(pid))
        self._resources.write(self._record)
        code = await self._train.wait()
        return code if code >= 0 else 128 - code

    async def terminate(self, grace_seconds: float) -> None:
        if self._train is not None and self._train.returncode is None:
            with suppress(ProcessLookupError):
                self._train.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._train.wait(), grace_seconds)
        await asyncio.to_thread(process_tree.kill, self._record)

    async def logs(self) -> str:
        return self._log.read_bytes()[-LOG_BYTES:].decode(errors="replace") if self._log.exists() else ""

    async def stop(self, grace_seconds: float = 30.0) -> None:
        if not self.stopped:
            await self.terminate(grace_seconds)
            self._resources.forget(self.id)
            self.stopped = True


class ContainerTraining(_Run):
    """`docker run IMAGE train`; its /opt/ml is copied in before and out afterwards, so nothing is mounted."""

    def __init__(self, spec: TrainingSpec, resources: StartedResources, engine: Engine) -> None:
        super().__init__(spec, resources)
        self._engine, self._type = engine, instance_type(spec.instance_type)
        self._container: Container | None = None
        self._starting: asyncio.Task[None] | None = None
        self._last_log = ""

    async def run(self) -> int:
        try:
            image = await self._engine.run(self._engine.fetch_image, self._spec.image)
            if await self._engine.run(self._engine.architecture, image) != self._type.architecture:
                raise LaunchError("exec train: exec format error")
            self._resources.write(Record(self.id, "container"))
            self._starting = asyncio.create_task(self._engine.run(self._start, image))
            await asyncio.shield(self._starting)  # cancelled half-way, it would leave a container to nobody
        except (docker.errors.APIError, requests.RequestException, EngineError) as error:
            reason = error.explanation if isinstance(error, docker.errors.APIError) else error
            raise LaunchError(f"{self._spec.image} cannot be run: {reason}") from error
        while (code := await self._engine.run(self._exit_code)) is None:
            await asyncio.sleep(POLL_SECONDS)
        self._last_log = await self.logs()
        await self._engine.run(self._copy_out)
        return code

    async def terminate(self, grace_seconds: float) -> None:
        if self._container is not None:
            with suppress(docker.errors.NotFound):
                await self._engine.run(self._container.stop, timeout=math.ceil(grace_seconds))

    async def logs(self) -> str:
        container = self._container
        if container is not None:
            with suppress(docker.errors.NotFound):
                text: bytes = await self._engine.run(container.logs, tail=10_000)
                self._last_log = text[-LOG_BYTES:].decode(errors="replace")
        return self._last_log

    async def stop(self, grace_seconds: float = 30.0) -> None:
        if not self.stopped:
            if self._starting is not None:
                await asyncio.gather(self._starting, return_exceptions=True)
            await self.terminate(grace_seconds)
            await self._engine.run(self._engine.remove_labelled, self.id)
            self._resources.forget(self.id)
            self.stopped = True

    def _start(self, image: str) -> None:
        memory = self._type.memory_bytes
        self._container = self._engine.client.containers.create(
            image,
            ["train"],
            name=f"local-aws-{self.id}",
            labels={LABEL: self.id},
            environment=dict(self._spec.environment),
            mem_limit=memory,
            memswap_limit=memory,
            cpu_shares=LOWEST_SHARES,
            stop_signal="SIGTERM",
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "16m", "max-file": "2"}),
        )
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(self.root, "opt/ml", filter=_of_root)
        self._container.put_archive("/", packed.getvalue())
        self._container.start()

    def _exit_code(self) -> int | None:
        """Return the exit code; None while it runs, 137 when the container was removed."""
        assert self._container is not None
        try:
            self._container.reload()
        except docker.errors.NotFound:
            return 137
        state = self._container.attrs["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def _copy_out(self) -> None:
        for name in ("model", "output"):
            packed = io.BytesIO()
            with suppress(docker.errors.NotFound):  # it wrote none
                assert self._container is not None
                for chunk in self._container.get_archive(f"/opt/ml/{name}")[0]:
                    packed.write(chunk)
                packed.seek(0)
                with tarfile.open(fileobj=packed) as tar:
                    extract(tar, self.root)


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.mode = 0o755 if member.isdir() else 0o644
    return member
