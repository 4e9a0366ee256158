"""An instance as a process of this machine: any command that keeps SageMaker's serving contract."""

import asyncio
import os
import shutil
import signal
import sys
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from local_aws.instances import process_tree, throttle
from local_aws.instances.cgroup import Cgroup, child
from local_aws.instances.health import Pinger
from local_aws.instances.instance import InstanceSpec, LaunchError, Line, Stats, new_id
from local_aws.instances.instance_types import instance_type
from local_aws.instances.reserved_port import ReservedPort
from local_aws.instances.started_resources import MARK, Record, StartedResources, scratch
from local_aws.instances.usage import disk_percent, utilisation

_LOG_BYTES = 64 * 1024
_LOWEST_PRIORITY = 19


class ProcessInstance:
    """One `serve` in its own session, held to its CPU share by a control group or by stopping it in turn.

    It starts at the lowest weight (in the control group, else nice 19). `SAGEMAKER_BASE_DIR` stands
    for /opt/ml; the port is reserved from before it starts until it is gone. Its memory is limited
    by the control group alone, and its model is read-only by file mode alone (which root may ignore).
    """

    def __init__(
        self, spec: InstanceSpec, resources: StartedResources, pinger: Pinger, parent: Cgroup | None
    ) -> None:
        self.id = new_id()
        self._spec, self._resources, self._pinger = spec, resources, pinger
        self._size = instance_type(spec.instance_type, spec.memory_scale)
        self._port = ReservedPort()
        self.url = f"http://127.0.0.1:{self._port.number}"
        self._cgroup = child(parent, self.id) if parent else None
        group = self._cgroup
        self._record = Record(
            self.id,
            "process",
            cgroup=str(group.path) if group else None,
            memory_cgroup=str(group.memory) if group and group.memory else None,
        )
        self._serve: asyncio.subprocess.Process | None = None
        self._throttle: asyncio.subprocess.Process | None = None
        self._port_is_ours = False
        self._growth: list[tuple[int, float]] = []  # size of the log in bytes, and when it was seen
        self._last_lines: tuple[Line, ...] = ()
        self.stopped, self._stopping = False, asyncio.Lock()

    async def start(self, command: tuple[str, ...]) -> None:
        """Run the command. Raises LaunchError when it cannot be run."""
        self._resources.write(self._record)
        root = self._base_directory()
        try:
            environment = self._environment(root)
            if shutil.which(command[0], path=environment.get("PATH")) is None:
                raise FileNotFoundError("no such program; set LOCAL_AWS_PROCESS_COMMAND")
            if self._cgroup:
                self._cgroup.create(self._size.memory_bytes)
            wrapped = (
                self._cgroup.entering(command)
                if self._cgroup
                else ("nice", "-n", str(_LOWEST_PRIORITY), *command)
            )
            with self._log_path.open("wb") as log:
                self._serve = await self._spawn(wrapped, log.fileno(), environment)
        except OSError as error:
            await self.stop()
            raise LaunchError(f"Instance {self.id} cannot run {command[0]}: {error}") from error
        self._note_pid(self._serve.pid)
        self._before = process_tree.measure(self._serve.pid, time.monotonic())

    async def alive(self) -> bool:
        return self._serve is not None and self._serve.returncode is None

    async def ping(self, timeout: float = 2.0) -> bool:
        self._note_growth()
        if not await self.alive() or not await self._pinger.ping(self.url, timeout):
            return False
        if not self._port_is_ours:  # checked once: another program may have answered
            self._port_is_ours = await asyncio.to_thread(
                process_tree.listens, self._record, self._port.number
            )
        return self._port_is_ours

    async def limit(self) -> None:
        if self._serve is None or not await self.alive():
            return
        cpus = self._size.vcpus * self._spec.cpu_scale
        if self._cgroup:
            self._cgroup.limit(cpus)
        else:
            await self._throttle_to(cpus)
        self._before = await asyncio.to_thread(process_tree.measure, self._serve.pid, time.monotonic())

    async def stats(self) -> Stats:
        if self._serve is None:
            return Stats(0.0, 0.0)
        now = await asyncio.to_thread(process_tree.measure, self._serve.pid, time.monotonic())
        before, self._before = self._before, now
        disk = disk_percent(self._resources.directory)
        return utilisation(before, now, self._size, self._spec.cpu_scale, disk)

    async def lines(self) -> tuple[Line, ...]:
        self._note_growth()
        with suppress(FileNotFoundError), self._log_path.open("rb") as log:
            offset = log.seek(max(0, self._log_path.stat().st_size - _LOG_BYTES))
            found = []
            for line in log:
                offset += len(line)
                found.append(Line(self._seen_at(offset), line.decode(errors="replace").rstrip("\n")))
            return tuple(found)
        return self._last_lines

    async def stop(self, grace_seconds: float = 30.0) -> None:
        async with self._stopping:
            if not self.stopped:
                await self._end(grace_seconds)
                self._last_lines = await self.lines()
                self._resources.forget(self.id)
                self._port.release()
                self.stopped = True

    async def _end(self, grace_seconds: float) -> None:
        """Stop as an engine does: SIGTERM to `serve` alone, then SIGKILL to all processes."""
        if self._serve is not None and self._serve.returncode is None:
            await self._unlimit()
            with suppress(ProcessLookupError):
                self._serve.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._serve.wait(), grace_seconds)
        await asyncio.to_thread(process_tree.kill, self._record)
        for process in (self._serve, self._throttle):
            if process is not None:
                await process.wait()

    def _note_growth(self) -> None:
        """Note the size of the log and the time, for the times of its lines."""
        with suppress(FileNotFoundError):
            size = self._log_path.stat().st_size
            if size > (self._growth[-1][0] if self._growth else 0):
                self._growth.append((size, time.time()))

    def _seen_at(self, offset: int) -> float:
        """Return the epoch second at which the log was first seen to reach `offset`; else now."""
        index = bisect_left(self._growth, (offset, 0.0))
        return self._growth[index][1] if index < len(self._growth) else time.time()

    @property
    def _log_path(self) -> Path:
        return self._resources.directory / self.id / "log"

    def _base_directory(self) -> Path:
        root = self._resources.folder(self.id) / "opt-ml"
        root.mkdir()
        scratch(self.id).mkdir()
        if self._spec.model_dir is None:
            (root / "model").mkdir()
        else:
            (root / "model").symlink_to(self._spec.model_dir.resolve(), target_is_directory=True)
        return root

    def _environment(self, root: Path) -> dict[str, str]:
        """Merge this run's environment without its settings, the contract's, and the model's own."""
        inherited = {name: value for name, value in os.environ.items() if not is_private(name)}
        return {
            **inherited,
            "SAGEMAKER_MODEL_SERVER_WORKERS": str(self._size.vcpus),
            **self._spec.environment,
            "SERVE_HOST": "127.0.0.1",
            "TMPDIR": str(scratch(self.id)),
            "SAGEMAKER_BASE_DIR": str(root),
            "SAGEMAKER_BIND_TO_PORT": str(self._port.number),
            MARK: self.id,
        }

    async def _spawn(
        self, command: tuple[str, ...], output: int, environment: dict[str, str]
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

    def _note_pid(self, pid: int) -> None:
        self._record = replace(self._record, pid=pid, started=process_tree.start_time(pid))
        self._resources.write(self._record)

    async def _throttle_to(self, cpus: float) -> None:
        assert self._serve is not None
        with suppress(PermissionError):  # without privilege it stays at nice 19
            os.setpriority(os.PRIO_PGRP, self._serve.pid, 0)
        command = (sys.executable, throttle.__file__, str(self._serve.pid), str(cpus))
        self._throttle = await self._spawn(command, asyncio.subprocess.DEVNULL, {MARK: self.id})

    async def _unlimit(self) -> None:
        if self._cgroup:
            self._cgroup.unlimit()
        elif self._throttle is not None and self._serve is not None:
            with suppress(ProcessLookupError):
                self._throttle.terminate()
            await self._throttle.wait()  # it has let the group run
            with suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PGRP, self._serve.pid, _LOWEST_PRIORITY)


def is_private(name: str) -> bool:
    """Check for this AWS's settings and its user's credentials and endpoint, which no instance inherits."""
    return name.startswith(("LOCAL_AWS_", "AWS_"))
