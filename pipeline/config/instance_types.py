"""Processor, accelerator and driver of an instance type, read from its name.

Drivers of SageMaker's hosts: docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html (without a choice) and
the API's ProductionVariant.InferenceAmiVersion (by choice). Drivers that CUDA needs: NVIDIA's CUDA Toolkit release
notes, docs.nvidia.com/cuda/cuda-toolkit-release-notes ("CUDA Toolkit and minimum required driver version for CUDA minor
version compatibility").
"""

import re
from typing import Literal

Architecture = Literal["amd64", "arm64"]
ImageVariant = Literal["cpu", "cuda"]
InferenceAmi = Literal[
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2023-ami-sagemaker-inference-gpu-4-1",
]

_GRAVITON = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")  # the g follows the generation: c7g, r6gd
_NVIDIA = re.compile(r"ml\.([gp]\d+[a-z]*)\.")
_DRIVER_OF_AMI: dict[InferenceAmi, int] = {
    "al2-ami-sagemaker-inference-gpu-2": 535,
    "al2-ami-sagemaker-inference-gpu-2-1": 535,
    "al2-ami-sagemaker-inference-gpu-3-1": 550,
    "al2023-ami-sagemaker-inference-gpu-4-1": 580,
}
_DRIVER_OF_FAMILY = {
    **dict.fromkeys(("p2", "p3", "p4d", "p4de", "g4dn", "g5"), 470),
    **dict.fromkeys(("p5", "g6"), 535),
    **dict.fromkeys(("p5e", "p5en"), 550),
}
_DRIVER_OF_CUDA = {11: 450, 12: 525, 13: 580}


def architecture_of(instance_type: str) -> Architecture:
    """Return the architecture of a type's processor, as images name it."""
    return "arm64" if _GRAVITON.match(instance_type) else "amd64"


def image_variant_of(instance_type: str) -> ImageVariant:
    """Return the variant of the image that a type needs: `cuda` for one with NVIDIA's GPUs."""
    return "cuda" if _NVIDIA.match(instance_type) else "cpu"


def driver_of(instance_type: str, ami: InferenceAmi | None) -> int | None:
    """Return NVIDIA's driver on the hosts of a type; None where AWS's documentation does not name it."""
    if ami is not None:
        return _DRIVER_OF_AMI[ami]
    found = _NVIDIA.match(instance_type)
    return _DRIVER_OF_FAMILY.get(found[1]) if found else None


def driver_for_cuda(cuda: str) -> int | None:
    """Return the oldest driver that programs for a CUDA version ("13.0") run on; None for one that is not known here."""
    return _DRIVER_OF_CUDA.get(int(cuda.partition(".")[0]))


def ami_for_cuda(cuda: str) -> InferenceAmi | None:
    """Return the first InferenceAmiVersion whose driver runs programs for a CUDA version."""
    needed = driver_for_cuda(cuda)
    return next((ami for ami, has in _DRIVER_OF_AMI.items() if needed is not None and has >= needed), None)
