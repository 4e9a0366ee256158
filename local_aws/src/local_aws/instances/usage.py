"""CPU seconds and bytes as the percentages that CloudWatch shows."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from local_aws.instances.instance import Stats
from local_aws.instances.instance_types import InstanceType


@dataclass(frozen=True)
class Sample:
    """The use of an instance up to one moment: monotonic seconds, CPU seconds, bytes."""

    at: float
    cpu_seconds: float
    memory_bytes: float


def disk_percent(directory: Path) -> float:
    """Return the percentage of the directory's disk that is used, 0…100."""
    disk = shutil.disk_usage(directory)
    return 100.0 * disk.used / disk.total


def utilisation(
    before: Sample, after: Sample, size: InstanceType, cpu_scale: float, disk: float = 0.0
) -> Stats:
    """Return the utilisation between two samples, in AWS's sense: 100 % is one vCPU of the instance's own share."""
    passed = after.at - before.at
    used = max(0.0, after.cpu_seconds - before.cpu_seconds)
    cpu = 100.0 * used / passed / cpu_scale if passed > 0 else 0.0
    return Stats(
        cpu_percent=min(cpu, 100.0 * size.vcpus),
        memory_percent=min(100.0, 100.0 * after.memory_bytes / size.memory_bytes),
        disk_percent=disk,
    )
