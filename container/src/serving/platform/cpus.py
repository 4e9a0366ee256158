"""The CPUs that this container may use, and their division among workers and engine threads.

SageMaker, Docker and Kubernetes limit a container by its cgroup, which the host's CPU count does not show.
A worker for each host CPU, each with as many threads, makes small containers slow.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
WORKERS_VARIABLE = "SAGEMAKER_MODEL_SERVER_WORKERS"
# TorchServe's names for it, used where the first is not set.
WORKERS_VARIABLES = (WORKERS_VARIABLE, "SAGEMAKER_TS_MAX_WORKERS", "SAGEMAKER_TS_MIN_WORKERS")


class BadPlan(ValueError):
    """A setting that is no number of workers."""


@dataclass(frozen=True)
class Plan:
    """The number of worker processes, and the engine threads of each."""

    cpus: float
    workers: int
    engine_threads: int
    devices: tuple[str, ...] = ()  # GPUs by their names in CUDA_VISIBLE_DEVICES; worker i has device i

    def __str__(self) -> str:
        gpus = f" and {len(self.devices)} GPU{'s' * (len(self.devices) > 1)}" if self.devices else ""
        return (
            f"{self.workers} worker{'s' * (self.workers > 1)} × {self.engine_threads} engine "
            f"thread{'s' * (self.engine_threads > 1)} on {self.cpus:g} CPU{'s' * (self.cpus != 1)}{gpus}"
        )


def quota(cgroups: Path = CGROUPS) -> float | None:
    """Return the cgroup's CPU quota in CPUs (v2, else v1), or None without a limit."""
    unified = _read(cgroups / "cpu.max")
    if unified is not None:
        share, _, period = unified.partition(" ")
        return None if share == "max" else int(share) / int(period)
    for controller in ("cpu", "cpu,cpuacct"):
        share_v1 = _read(cgroups / controller / "cpu.cfs_quota_us")
        period_v1 = _read(cgroups / controller / "cpu.cfs_period_us")
        if share_v1 is not None and period_v1 is not None:
            return None if int(share_v1) <= 0 else int(share_v1) / int(period_v1)
    return None


def available(cgroups: Path = CGROUPS) -> float:
    """Return the CPUs that this process may use: its affinity, or its cgroup's quota if that is less."""
    affinity = float(len(os.sched_getaffinity(0)))
    limit = quota(cgroups)
    return affinity if limit is None else min(affinity, limit)


def plan(cpus: float, environ: Mapping[str, str], devices: tuple[str, ...] = ()) -> Plan:
    """Plan a worker for each GPU, else for each whole CPU, or as many as the environment asks for.

    workers × engine threads never exceeds the CPUs, except that there is at least one of each.
    Raises BadPlan when the variable is not a number of at least 1.
    """
    whole = max(1, int(cpus))
    variable = next((name for name in WORKERS_VARIABLES if environ.get(name)), WORKERS_VARIABLE)
    requested = environ.get(variable) or str(len(devices) or whole)
    if not (requested.isascii() and requested.isdigit() and int(requested) >= 1):
        raise BadPlan(f"{variable}: expected a number of workers of at least 1, got {requested!r}")
    workers = int(requested)
    return Plan(cpus, workers, max(1, whole // workers), devices)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
