"""A release: image digest + weights digest. Immutable, and named by its content."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipeline.config.instance_types import Architecture
from pipeline.errors import ReleaseError
from pipeline.model import Model

MANIFEST = "release.json"
UNCHECKED = "UNCHECKED: the release has no golden requests, no answer of it was compared"
RELEASE_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}")

ReleaseId = Annotated[str, Field(pattern=rf"^{RELEASE_ID.pattern}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Requirements(Model):
    """The requirements of an archive on its image.

    `request_response`: a digest of both schemas. `engines`: the versions of the engines that ENGINE=auto may choose.
    """

    request_response: str
    engines: dict[str, str] = Field(default_factory=dict)


class Image(Model):
    """The container image. `is_source_hash`: published without a Docker engine, the source hash stands for the digest.

    `sbom` and `provenance` are objects in S3. None: there is no image, or it was published with --no-sbom.
    `architecture` None: an earlier version of the pipeline published it; `cuda` None: it is not for GPUs.
    """

    uri: Annotated[str, Field(min_length=1, max_length=255)]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    tag: Annotated[
        str, Field(pattern=r"^[0-9a-f]{40}(-\d{14})?$")
    ]  # of the sources; of a rebuild, its time too
    is_source_hash: bool = Field(validation_alias="stand_in", serialization_alias="stand_in")
    sbom: str | None = None
    provenance: str | None = None
    architecture: Architecture | None = None
    cuda: str | None = None


class Weights(Model):
    """One .tar.gz, at a key derived from its content, with the metrics of training.

    `checksum` is S3's own, of the uploaded object (None: the sha256 itself, uploaded in one part).
    """

    uri: Annotated[str, Field(pattern=r"^s3://")]
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]
    checksum: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    fits: Requirements | None = None  # None: the archive has no requirements


class GoldenRecord(Model):
    """The golden set of a release. `uri` None: it is in the archive of the weights.

    `contract`: of its requests; `takes`, `gives`: the media types of requests and answers; `note`: what a report must say.
    """

    sha256: Sha256
    uri: Annotated[str, Field(pattern=r"^s3://")] | None = None
    contract: str
    cases: Annotated[int, Field(gt=0)]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    note: str = ""


class Release(Model):
    """A release: image and weights. Commit, run and golden set are recorded, not part of the id.

    `golden` None: the release is UNCHECKED, or an earlier version of the pipeline published it, from an archive with one.
    """

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    id: ReleaseId
    image: Image
    weights: Weights
    commit: str | None  # None: not a git checkout
    dirty: bool  # there were uncommitted edits
    run_url: str | None
    created: datetime
    golden: GoldenRecord | None = None
    unchecked: bool = False  # published without a golden set

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what every report of this release must say."""
        if self.unchecked:
            return (UNCHECKED,)
        return (self.golden.note,) if self.golden is not None and self.golden.note else ()

    def with_golden(self, golden: GoldenRecord) -> "Release":
        """Return the release with a golden set."""
        return self.model_copy(update={"golden": golden, "unchecked": False})


def release_id(image: Image, weights: Weights) -> str:
    """Return the id of a release, derived from its content: `<image digest 12>-<weights 8>`."""
    return f"{image.digest.removeprefix('sha256:')[:12]}-{weights.sha256[:8]}"


def make_release(
    image: Image,
    weights: Weights,
    *,
    commit: str | None,
    dirty: bool,
    run_url: str | None,
    golden: GoldenRecord | None = None,
    unchecked: bool = False,
) -> Release:
    """Put image and weights together as a release, created now."""
    return Release(
        id=release_id(image, weights),
        image=image,
        weights=weights,
        commit=commit,
        dirty=dirty,
        run_url=run_url,
        created=datetime.now(UTC).replace(microsecond=0),
        golden=golden,
        unchecked=unchecked,
    )


def load_release(path: Path) -> Release:
    """Read a manifest. Raises ReleaseError when it is missing, broken, or its id does not match its content."""
    if not path.is_file():
        raise ReleaseError(
            f"There is no release manifest {path}.",
            fix="Run `python -m pipeline publish --env NAME`, or name the file with --release.",
        )
    return parse_release(path.read_text(), str(path))


def parse_release(text: str, where: str) -> Release:
    """Check a manifest's text; `where` is named in the error."""
    try:
        release = Release.model_validate_json(text)
    except ValidationError as error:
        raise ReleaseError(
            f"{where} is not a release manifest: {error}", fix="Run `python -m pipeline publish --env NAME`."
        ) from error
    wanted = release_id(release.image, release.weights)
    if release.id != wanted:
        raise ReleaseError(
            f"{where} says id {release.id}, but its image and weights make {wanted}.",
            fix="A release is immutable: publish again instead of editing the manifest.",
        )
    return release
