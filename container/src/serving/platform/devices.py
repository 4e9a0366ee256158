"""The GPUs of this container: each gets one model process.

The NVIDIA runtime mounts /dev/nvidia0, /dev/nvidia1, … for those that the container may use, and lists
them below /proc/driver/nvidia/gpus. CUDA_VISIBLE_DEVICES narrows that, as it does for CUDA itself.
"""

import re
from collections.abc import Mapping
from pathlib import Path

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
ROOT = Path("/")
_DEVICE = re.compile(r"nvidia(\d+)")


def visible_devices(environ: Mapping[str, str], root: Path = ROOT) -> tuple[str, ...]:
    """List the values of CUDA_VISIBLE_DEVICES that give a process one GPU each; empty without a GPU."""
    nodes = [_DEVICE.fullmatch(entry.name) for entry in _entries(root / "dev")]
    count = sum(node is not None for node in nodes) or len(_entries(root / "proc/driver/nvidia/gpus"))
    visible = environ.get(VISIBLE_VARIABLE)
    if visible is None or count == 0:
        return tuple(str(number) for number in range(count))
    names = [name.strip() for name in visible.split(",")]
    return tuple(_until_the_first_invalid(names, count))


def device_of_worker(index: int, devices: tuple[str, ...]) -> str | None:
    """Return the GPU of a worker, or None without one; more workers than GPUs share them in turn."""
    return devices[index % len(devices)] if devices else None


def _until_the_first_invalid(names: list[str], count: int) -> list[str]:
    """Apply CUDA's rule: whatever follows an invalid index is not visible either."""
    good: list[str] = []
    for name in names:
        is_index = name.isascii() and name.isdigit() and int(name) < count
        if not (is_index or name.startswith(("GPU-", "MIG-"))):
            break
        good.append(name)
    return good


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []
