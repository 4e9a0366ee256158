"""The golden set of a release: inputs with their expected answers, from the release's own archive."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import golden
from pipeline.aws import AwsClient
from pipeline.errors import ReleaseError
from pipeline.release import Release
from pipeline.release_store.archives import members
from pipeline.run import Run

NAMES = (golden.FILE, golden.LEGACY_FILE)  # in an archive, the first that is there


def fetch_golden(release: Release, run: Run) -> Path:
    """Return the golden set of the release's own archive, fetched from S3 once per content.

    Raises ReleaseError when the archive is missing, is another one, or holds no golden set.
    """
    folder = run.build / "golden" / release.weights.sha256
    there = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if there is not None:
        return there
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        packed = fetch_object(release.weights.uri, run.aws, Path(scratch))
        if _sha256(packed) != release.weights.sha256:
            raise ReleaseError(
                f"{release.weights.uri} differs from the weights that release {release.id} was published with.",
                fix="Restore the object from the bucket's versions; publish replaces none that is there.",
            )
        found = members(packed, frozenset(NAMES), release.weights.uri)
    name = next((name for name in NAMES if name in found), None)
    if name is None:
        raise no_golden(release.weights.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(found[name])
    return folder / name


def fetch_object(uri: str, aws: AwsClient, scratch: Path) -> Path:
    """Download the object to `scratch`. Raises ReleaseError when there is none."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found = aws.find("s3", "get_object", Bucket=bucket, Key=key)
    if found is None:
        raise no_object(uri)
    target = scratch / "model.tar.gz"
    with target.open("wb") as out:
        shutil.copyfileobj(found["Body"], out)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def no_object(uri: str) -> ReleaseError:
    """Return the error for a missing object."""
    return ReleaseError(f"There is no object {uri}.", fix="Publish the weights, or correct the URI.")


def no_golden(where: str) -> ReleaseError:
    """Return the error for an archive without a golden set."""
    return ReleaseError(
        f"{where} holds no {golden.FILE}.",
        fix="`train` writes it: golden requests with their expected answers.",
    )
