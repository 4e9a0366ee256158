"""An instance as a container: the image of the model, as SageMaker starts it."""

import asyncio
import logging
import math
import re
import time
from datetime import datetime
from typing import Any

import docker.errors
import requests
from docker.models.containers import Container
from docker.types import LogConfig

from local_aws.instances.cgroup import PERIOD_MICROSECONDS, quota_microseconds
from local_aws.instances.engine import LABEL, Engine, EngineError
from local_aws.instances.health import Pinger
from local_aws.instances.instance import InstanceSpec, LaunchError, Line, Stats, new_id
from local_aws.instances.instance_types import instance_type
from local_aws.instances.started_resources import Record, StartedResources
from local_aws.instances.usage import Sample, disk_percent, utilisation

log = logging.getLogger(__name__)

OTHER_ARCHITECTURE = "exec serve: exec format error"  # the kernel's, of aws/sagemaker-python-sdk#3679
_PORT = "8080/tcp"
_LOG_BYTES = 64 * 1024
_LOG_LINES = 1000
_LOWEST_SHARES, _ORDINARY_SHARES = 2, 1024
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z( |$)")  # a line that was cut has none


class ContainerInstance:
    """One `docker run IMAGE serve` with the memory of its type, published on loopback.

    The engine chooses the port. The container starts at the lowest CPU weight; `limit` sets its quota.
    """

    def __init__(
        self, spec: InstanceSpec, resources: StartedResources, pinger: Pinger, engine: Engine
    ) -> None:
        self.id = new_id()
        self.url = ""
        self._spec, self._resources, self._pinger, self._engine = spec, resources, pinger, engine
        self._size = instance_type(spec.instance_type, spec.memory_scale)
        self._container: Container | None = None
        self._before = Sample(time.monotonic(), 0.0, 0.0)
        self._last_lines: tuple[Line, ...] = ()
        self.stopped, self._stopping = False, asyncio.Lock()

    async def start(self) -> None:
        """Pull the image if need be and run it. Raises LaunchError when the engine refuses.

        An image of another architecture than the type's ends at once, as on AWS: its log says why.
        """
        try:
            image = await self._engine.run(self._engine.fetch_image, self._spec.image)
            if await self._engine.run(self._engine.architecture, image) != self._size.architecture:
                self._last_lines = (Line(time.time(), OTHER_ARCHITECTURE),)
                return
            self._resources.write(Record(self.id, "container"))
            await self._engine.run(self._run, image)
        except (docker.errors.APIError, requests.RequestException, EngineError) as error:
            await self.stop()
            reason = error.explanation if isinstance(error, docker.errors.APIError) else error
            raise LaunchError(f"Instance {self.id} cannot run {self._spec.image}: {reason}") from error

    async def alive(self) -> bool:
        return await self._engine.run(self._is_running)

    async def ping(self, timeout: float = 2.0) -> bool:
        return await self._pinger.ping(self.url, timeout)

    async def limit(self) -> None:
        container = self._container
        if container is None or not await self.alive():
            return
        await self._engine.run(
            container.update,
            cpu_period=PERIOD_MICROSECONDS,
            cpu_quota=quota_microseconds(self._size.vcpus * self._spec.cpu_scale),
            cpu_shares=_ORDINARY_SHARES,
        )
        now = await self._engine.run(self._measure)
        self._before = now or self._before

    async def stats(self) -> Stats:
        now = await self._engine.run(self._measure)
        if now is None:  # it is not running
            return Stats(0.0, 0.0)
        before, self._before = self._before, now
        disk = disk_percent(self._resources.directory)
        return utilisation(before, now, self._size, self._spec.cpu_scale, disk)

    async def lines(self) -> tuple[Line, ...]:
        if self._container is not None:
            self._last_lines = await self._engine.run(self._read_log)
        return self._last_lines

    async def stop(self, grace_seconds: float = 30.0) -> None:
        async with self._stopping:
            if not self.stopped:
                await self._engine.run(self._stop, math.ceil(grace_seconds))
                self._resources.forget(self.id)
                self.stopped = True

    def _run(self, image: str) -> None:
        mounts = {}
        if self._spec.model_dir is not None:
            mounts[str(self._spec.model_dir.resolve())] = {"bind": "/opt/ml/model", "mode": "ro"}
        self._container = self._engine.client.containers.create(
            image,
            ["serve"],
            name=f"local-aws-{self.id}",
            labels={LABEL: self.id, f"{LABEL}.endpoint": self._spec.endpoint},
            environment={"SAGEMAKER_MODEL_SERVER_WORKERS": str(self._size.vcpus), **self._spec.environment},
            ports={_PORT: ("127.0.0.1", 0)},
            volumes=mounts,
            mem_limit=self._size.memory_bytes,
            memswap_limit=self._size.memory_bytes,
            cpu_shares=_LOWEST_SHARES,
            stop_signal="SIGTERM",
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "16m", "max-file": "2"}),
        )
        self._container.start()
        self._container.reload()
        published = self._container.ports.get(_PORT)
        if not published:  # it has ended already; its log says why
            said = "\n".join(line.text for line in self._read_log()).strip()
            raise EngineError(f"it ended at once: {said[-1000:] or 'without a word'}")
        self.url = f"http://127.0.0.1:{published[0]['HostPort']}"

    def _unlimit(self) -> None:
        assert self._container is not None
        if self._is_running():
            self._container.update(cpu_quota=-1, cpu_shares=_LOWEST_SHARES)

    def _is_running(self) -> bool:
        if self._container is None:
            return False
        try:
            self._container.reload()
        except docker.errors.NotFound:
            return False
        except requests.RequestException as error:
            log.warning("the engine does not tell whether %s runs, its pings decide: %s", self.id, error)
            return True
        return bool(self._container.status == "running")

    def _measure(self) -> Sample | None:
        if self._container is None:
            return None
        try:
            seen: dict[str, Any] = self._engine.client.api.stats(
                str(self._container.id), stream=False, one_shot=True
            )
        except docker.errors.NotFound:
            return None
        memory = seen["memory_stats"]
        if "usage" not in memory:
            return None
        details = memory.get("stats", {})
        reclaimable = details.get("total_inactive_file", details.get("inactive_file", 0))  # cgroup 1, 2
        cpu_seconds = seen["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        return Sample(time.monotonic(), cpu_seconds, max(0, memory["usage"] - reclaimable))

    def _read_log(self) -> tuple[Line, ...]:
        assert self._container is not None
        try:
            text = self._container.logs(tail=_LOG_LINES, timestamps=True).decode(errors="replace")
        except docker.errors.NotFound:
            return self._last_lines
        return tuple(_stamped(line) for line in text[-_LOG_BYTES:].splitlines() if _STAMP.match(line))

    def _stop(self, grace_seconds: int) -> None:
        if self._container is not None:
            try:
                self._unlimit()
                self._container.stop(timeout=grace_seconds)
                self._last_lines = self._read_log()
            except docker.errors.NotFound:
                pass
        self._engine.remove_labelled(self.id)  # also one that the engine made without our hearing of it
        self._container = None


def _stamped(line: str) -> Line:
    """Split a log line into the engine's time stamp (RFC 3339, nanoseconds) and the text."""
    stamp, _, text = line.partition(" ")
    return Line(datetime.fromisoformat(stamp).timestamp(), text)
