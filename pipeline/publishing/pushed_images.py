"""The images of one hash of the sources in ECR, and whether SageMaker takes them.

SageMaker refuses OCI's manifests when a model is created (aws/amazon-sagemaker-feedback#180, mlflow/mlflow#13834).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.aws import AwsClient
from pipeline.errors import BuildFailed

PUBLISHED_TAG = re.compile(r"[0-9a-f]{40}(-\d{14})?")  # hash of the sources; of a rebuild, also when it began
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""The one kind of manifest that SageMaker takes: Docker's schema 2, of one platform."""
PUSH_AGAIN = (
    "Push a Docker schema 2 manifest of one platform: `container/build` does, with buildx or Docker's own BuildKit. "
    "Then publish again: the image is built anew under a tag of its own."
)


@dataclass(frozen=True)
class PushedImage:
    """An image in ECR by one of its tags."""

    pushed_at: datetime
    tag: str
    digest: str
    media_type: str | None


def builds_of(tag: str, aws: AwsClient) -> list[PushedImage]:
    """List the images of a hash of the sources (`tag`), rebuilds among them, oldest push first."""
    images = aws.pages("ecr", "describe_images", "imageDetails", repositoryName=aws.place.repository)
    builds = [
        PushedImage(
            each["imagePushedAt"], built, str(each["imageDigest"]), each.get("imageManifestMediaType")
        )
        for each in images
        for built in each.get("imageTags", [])
        if PUBLISHED_TAG.fullmatch(built) and built.startswith(tag)
    ]
    return sorted(builds, key=lambda each: (each.pushed_at, each.tag))


def newest_usable(builds: Sequence[PushedImage]) -> PushedImage | None:
    """Return the image that was pushed last, of those that SageMaker takes; None when there is none."""
    return next((each for each in reversed(builds) if each.media_type == DOCKER_MANIFEST), None)


def require_usable(image: PushedImage, reference: str) -> None:
    """Return when SageMaker takes the manifest of a pushed image. Raises BuildFailed."""
    if image.media_type != DOCKER_MANIFEST:
        raise BuildFailed(
            f"{reference} was pushed as {image.media_type}, which SageMaker does not take.", fix=PUSH_AGAIN
        )
