"""The golden set of a release: golden inputs with their expected answers, from the release's own archive."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from pipeline.aws import Aws
from pipeline.errors import ReleaseError
from pipeline.release import Release
from pipeline.release_store.archives import members

GOLDEN = "golden.json"


def fetch_golden(release: Release, aws: Aws, build: Path) -> Path:
    """Return golden.json of the release's own archive, taken from S3 once per content.

    Raises ReleaseError when the archive is missing, is another one, or holds no golden.json.
    """
    target = build / "golden" / f"{release.weights.sha256}.json"
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        packed = fetch_object(release.weights.uri, aws, Path(scratch))
        if _sha256(packed) != release.weights.sha256:
            raise ReleaseError(
                f"{release.weights.uri} is not what release {release.id} was published with.",
                fix="Restore the object from the bucket's versions; publish replaces none that is there.",
            )
        found = members(packed, frozenset({GOLDEN}), release.weights.uri)
    if GOLDEN not in found:
        raise no_golden(release.weights.uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(found[GOLDEN])
    return target


def fetch_object(uri: str, aws: Aws, scratch: Path) -> Path:
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
    return ReleaseError(f"There is no object {uri}.", fix="Publish the weights, or correct the URI.")


def no_golden(where: str) -> ReleaseError:
    return ReleaseError(
        f"{where} holds no {GOLDEN}.", fix="`train` writes it: golden inputs with their expected answers."
    )
