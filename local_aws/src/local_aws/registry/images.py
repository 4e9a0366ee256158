"""Images of ECR as SageMaker sees them: what CreateModel refuses, in its words.

Sources: aws/amazon-sagemaker-feedback#180, mlflow/mlflow#13834 and moby/buildkit#5480 (manifests),
aws-samples/easy-amazon-sagemaker-deployments#4 (an absent image), aws/amazon-sagemaker-examples#195 (no tag).
"""

import re
from dataclasses import dataclass

from local_aws.registry.repositories import Repositories, missing
from local_aws.registry.server import Registry
from local_aws.registry.store import DOCKER_MANIFEST, StoredImage

_REFERENCE = re.compile(r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?")


@dataclass(frozen=True)
class _Name:
    """The name of an image without its registry."""

    repository: str
    tag: str | None = None
    digest: str | None = None


class EcrImages:
    """The images of this AWS's ECR; those of other registries and of the engine itself are not its concern."""

    def __init__(self, registry: Registry, repositories: Repositories, address: str) -> None:
        """`address`: the HOST:PORT that the names of its images begin with."""
        self._registry, self._repositories, self._address = registry, repositories, address

    def refused(self, image: str) -> str | None:
        """Return CreateModel's sentence for an image of ECR that SageMaker does not take; None for any other."""
        parts = self._parts(image)
        if parts is None:
            return None
        if parts.tag is None and parts.digest is None:
            return f'ECR image "{image}" is invalid.'
        if parts.repository not in self._repositories.names():
            return missing(parts.repository)
        found = self._find(parts)
        if found is None:
            return f"Requested image {image} not found."
        if found.media_type != DOCKER_MANIFEST:
            return (
                f"Unsupported manifest media type {found.media_type} for image {image}. "
                "Ensure that valid manifest media type is used for specified image."
            )
        return None

    def is_absent(self, image: str) -> bool:
        """Check whether a name is of this ECR, and of no image in it."""
        parts = self._parts(image)
        return parts is not None and self._find(parts) is None

    def _parts(self, image: str) -> _Name | None:
        """Split the name of an image of this ECR; None for any other.

        Without a registry (instances are processes) no repository has an image, and none is asked for.
        """
        host, _, name = image.partition("/")
        if self._registry.url is None or host != self._address:
            return None
        found = _REFERENCE.fullmatch(name)
        return _Name(**found.groupdict()) if found else _Name(name)

    def _find(self, parts: _Name) -> StoredImage | None:
        """Find an image; a digest decides, as for Docker, whatever the tag is."""
        images = self._registry.store.images(parts.repository)
        return next(
            (
                each
                for each in images
                if parts.digest == each.digest or (not parts.digest and parts.tag in each.tags)
            ),
            None,
        )
