"""The golden set that a release is published with: of a file, of the archive, or none.

No record is replaced. A release that was published with another golden set refuses this one; to a release that was
published without any, one is added, once.
"""

import logging
from pathlib import Path

from pipeline.aws import AwsClient
from pipeline.errors import ReleaseError
from pipeline.publishing.digests import digests_of
from pipeline.publishing.upload import Upload, is_there
from pipeline.release import UNCHECKED, GoldenRecord, Release
from pipeline.release_store.golden import golden_key, how_to_add, parse_golden, record_of

log = logging.getLogger(__name__)


def read_file(path: str) -> GoldenRecord:
    """Return the record of the golden set in a file. Raises ReleaseError for one that cannot be used."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ReleaseError(
            f"The golden set {path} cannot be read: {error.strerror}.",
            fix="Name a file by --golden, or by `golden:` of the config.",
        ) from error
    return record_of(parse_golden(content, path))


def store_file(path: str, aws: AwsClient) -> GoldenRecord:
    """Upload the golden set of a file to the key that its content names, once, and return its record."""
    found, digests = read_file(path), digests_of(Path(path))
    where = {"Bucket": aws.place.bucket, "Key": golden_key(found.sha256)}
    if not is_there(where, digests.checksum, digests.size, aws):
        says = f"upload golden set {found.sha256[:8]}, {found.cases} cases"
        log.info(says)
        Upload(Path(path), where, digests, aws, says).send()
    return found.model_copy(update={"uri": f"s3://{where['Bucket']}/{where['Key']}"})


def must_be_added(
    published: Release, coming: Release, archive: GoldenRecord | None, environment: str
) -> bool:
    """Say whether the published release has no golden set yet and the coming one, of the same id, has.

    `archive`: the set in the weights, which is that of a release without a record. Raises ReleaseError when the two are
    different.
    """
    if coming.golden is None:
        return False
    has = None if published.unchecked else published.golden or archive
    if has is None or has.sha256 == coming.golden.sha256:
        return has is None
    raise ReleaseError(
        f"Release {published.id} was published with golden set {has.sha256[:8]} "
        f"({has.uri or 'in its archive'}), not with {coming.golden.sha256[:8]}: a release keeps what it was judged by.",
        fix="Publish with the first one; or put the other into the archive as golden.jsonl, which makes another release: "
        f"`python -m pipeline publish --env {environment}`.",
    )


def log_golden(release: Release, environment: str) -> None:
    """Log what the release will be judged by."""
    if release.unchecked:
        log.warning(f"{UNCHECKED}. {how_to_add(environment)}")
    elif release.golden is not None:
        where = release.golden.uri or "in the archive"
        log.info(f"golden set {release.golden.sha256[:8]}, {release.golden.cases} cases, {where}")
    for note in release.notes:
        if not release.unchecked:
            log.info(note)
