"""The target of an image: the processor and the accelerator of the instance type that it is built for."""

from dataclasses import dataclass

from pipeline.config.instance_types import Architecture, ImageVariant, architecture_of, image_variant_of
from pipeline.errors import BuildFailed

CUDA = "13.0"
"""The CUDA version of the PyTorch in container/torch-cuda.txt, as its wheel says (`torch.version.cuda`)."""


@dataclass(frozen=True)
class ImageTarget:
    """The platform of an image; `amd64` and `cpu` are the ordinary one."""

    architecture: Architecture = "amd64"
    variant: ImageVariant = "cpu"

    @classmethod
    def of(cls, instance_type: str) -> "ImageTarget":
        """Return the target of an instance type."""
        return cls(architecture_of(instance_type), image_variant_of(instance_type))

    @property
    def options(self) -> list[str]:
        """The options of container/build."""
        variant = [] if self.variant == "cpu" else ["--variant", self.variant]
        return ["--platform", f"linux/{self.architecture}", *variant]

    @property
    def in_hash(self) -> str:
        """Its part of the sources' hash: nothing for the ordinary image."""
        return "" if self == ORDINARY else f"{self.architecture} {self.variant}"

    @property
    def cuda(self) -> str | None:
        """The CUDA version of the image; None without one."""
        return CUDA if self.variant == "cuda" else None


ORDINARY = ImageTarget()


def require_architecture(reference: str, found: str, target: ImageTarget) -> None:
    """Return when a built image has the architecture of its target. Raises BuildFailed."""
    if found != target.architecture:
        raise BuildFailed(
            f"{reference} is built for {found}; the instance type of the config runs {target.architecture}.",
            fix=f"Build with `container/build --platform linux/{target.architecture}`, or change "
            "endpoint.instance_type.",
        )
