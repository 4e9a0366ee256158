"""The interface of an instance, the same for containers and processes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class InstanceSpec:
    """The requirements of a production variant for one instance.

    `model_dir` is the unpacked model data (shared, read-only), None for a model without data;
    `cpu_scale` CPUs stand for one vCPU of `instance_type`, `memory_scale` bytes for one of its memory.
    """

    endpoint: str
    variant: str
    config: str
    image: str
    environment: Mapping[str, str]
    model_dir: Path | None
    instance_type: str
    cpu_scale: float
    memory_scale: float = 1.0


@dataclass(frozen=True)
class Stats:
    """Utilisation as CloudWatch shows it.

    `cpu_percent` is 0…100 × vCPUs of the type, relative to the instance's own share of this machine;
    `memory_percent` is 0…100 of the type's memory; `disk_percent` is how full the disk is that instances write to,
    this machine's own.
    """

    cpu_percent: float
    memory_percent: float
    disk_percent: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line written by `serve`, with its time (epoch seconds)."""

    at: float
    text: str


class Instance(Protocol):
    """One running `serve`; `url` answers /ping and /invocations once it is healthy."""

    id: str
    url: str

    async def alive(self) -> bool:
        """Check whether `serve` is still running."""
        ...

    async def ping(self, timeout: float = 2.0) -> bool:
        """Check whether GET /ping answers 200 within `timeout` seconds."""
        ...

    async def limit(self) -> None:
        """Give the instance its own share of the CPUs; call it once the instance is healthy."""
        ...

    async def stop(self, grace_seconds: float = 30.0) -> None:
        """Send SIGTERM, then SIGKILL after `grace_seconds`; leave nothing behind. Repeatable.

        Call it when no request is under way: the instance ends as it started, without its quota but at
        the lowest weight. Tearing down Python and torch within a tenth of a CPU takes 20 s.
        """
        ...

    async def lines(self) -> tuple[Line, ...]:
        """Return the end of the log of `serve` (at most 64 KiB), also after `stop`.

        A container's lines have the engine's times; a process's the time at which a ping, or this, found them.
        """
        ...

    async def stats(self) -> Stats:
        """Return the utilisation since the last call (the first time: since `limit`, or the start)."""
        ...


class LaunchError(Exception):
    """An instance could not be started; the message has the reason and the fix."""


def new_id() -> str:
    """Return a new instance id in AWS's form: "i-" and 17 hexadecimal digits."""
    return f"i-{secrets.token_hex(9)[:17]}"
