"""A release in another environment's bucket and repository: the same content at other addresses (pure)."""

from pipeline.aws.s3_objects import object_at
from pipeline.config import AwsPlace
from pipeline.release import Release


def is_at(release: Release, place: AwsPlace) -> bool:
    """Say whether a release's addresses are those of this bucket."""
    return release.weights.uri.startswith(f"s3://{place.bucket}/")


def relocated(release: Release, place: AwsPlace, repository_uri: str) -> Release:
    """Return the release with the addresses that its copy has in another place; its id is the same.

    `repository_uri`: HOST/NAME of the place's repository. https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
    """
    image, golden = release.image, release.golden
    end = f":{image.tag}" if image.is_source_hash else f"@{image.digest}"
    stored = {name: _moved(getattr(image, name), place) for name in ("sbom", "provenance")}
    moved = golden and golden.model_copy(update={"uri": _moved(golden.uri, place)})
    return release.model_copy(
        update={
            "image": image.model_copy(update={"uri": f"{repository_uri}{end}", **stored}),
            "weights": release.weights.model_copy(update={"uri": _moved(release.weights.uri, place)}),
            "golden": moved,
        }
    )


def _moved(uri: str | None, place: AwsPlace) -> str | None:
    return None if uri is None else f"s3://{place.bucket}/{object_at(uri)['Key']}"
