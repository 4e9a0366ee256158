"""vCPUs and memory of the CPU instance types for hosting.

Figures: AWS's instance type pages. Nearly all follow one rule (xlarge is 4 vCPUs, Nxlarge 4 × N,
and a family has a fixed memory per vCPU); the few that do not are listed.
"""

import re
from dataclasses import dataclass

from local_aws.errors import invalid

_GIB = 2**30
_GRAVITON = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")  # the g follows the generation: c7g, r6gd
_SMALL = {"medium": 1, "large": 2, "xlarge": 4}

_GIB_PER_VCPU: dict[str, float] = {
    **dict.fromkeys(("c4",), 1.875),
    **dict.fromkeys(("c5", "c5d", "c6i", "c6in", "c6g", "c6gd", "c6gn", "c7i", "c7g", "c8g"), 2),
    **dict.fromkeys(("m4", "m5", "m5d", "m6i", "m6g", "m6gd", "m7i", "m8g"), 4),
    **dict.fromkeys(("r5", "r5d", "r6i", "r6g", "r6gd", "r7i", "r7gd", "r8g"), 8),
}


@dataclass(frozen=True)
class InstanceType:
    """One hosting type: whole vCPUs, memory in bytes."""

    name: str
    vcpus: int
    memory_bytes: int

    @property
    def architecture(self) -> str:
        """The architecture of its CPU, as images name it: `arm64` for AWS's Graviton, else `amd64`."""
        return "arm64" if _GRAVITON.match(self.name) else "amd64"


_EXCEPTIONS = {
    "ml.t2.medium": (2, 4),
    "ml.t2.large": (2, 8),
    "ml.t2.xlarge": (4, 16),
    "ml.t2.2xlarge": (8, 32),
    "ml.c4.8xlarge": (36, 60),
}


def instance_type(name: str, memory_scale: float = 1.0) -> InstanceType:
    """Look up an `ml.FAMILY.SIZE`; its memory is multiplied by `memory_scale`.

    Raises AwsError for a type this machine's AWS has no figures for.
    """
    if name in _EXCEPTIONS:
        vcpus, gib = _EXCEPTIONS[name]
        return InstanceType(name, vcpus, int(gib * _GIB * memory_scale))
    match = re.fullmatch(r"ml\.(\w+)\.(?:(\d+)xlarge|(medium|large|xlarge))", name)
    if match is None or match[1] not in _GIB_PER_VCPU:
        raise invalid(
            f"Instance type {name!r} has no figures in local_aws/instances/instance_types.py, which knows CPU types "
            f"(accelerators are not imitated on this machine). Use one of the families t2, "
            f"{', '.join(_GIB_PER_VCPU)}, for example ml.m5.large, or add its figures there.",
        )
    vcpus = 4 * int(match[2]) if match[2] else _SMALL[match[3]]
    return InstanceType(name, vcpus, int(vcpus * _GIB_PER_VCPU[match[1]] * _GIB * memory_scale))
