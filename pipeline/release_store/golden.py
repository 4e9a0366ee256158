"""The golden set of a release: from the archive of its weights, or from the release bucket, where publish has put it.

The release's record names its digest, and whoever reads it compares the two.
"""

import hashlib
import logging
import shutil
import tempfile
from pathlib import Path

import golden
from pipeline.aws import AwsClient
from pipeline.aws.s3_objects import object_at
from pipeline.errors import ReleaseError
from pipeline.names import release_of
from pipeline.release import UNCHECKED, GoldenRecord, Release
from pipeline.release_store.archives import members
from pipeline.release_store.manifests import published_release
from pipeline.run import Run

log = logging.getLogger(__name__)

NAMES = (golden.FILE, golden.LEGACY_FILE)  # in an archive, the first that is there
PREFIX = "golden/"


def golden_key(sha256: str) -> str:
    """Return the key of a golden set in the release bucket."""
    return f"{PREFIX}{sha256}.jsonl"


def parse_golden(content: bytes, where: str) -> golden.GoldenSet:
    """Read a golden set. Raises ReleaseError for one that cannot be used, or that no instance can be proved with."""
    try:
        found = golden.parse(content, where)
    except golden.GoldenError as error:
        raise ReleaseError(error.what, fix=error.fix) from error
    if not found.answered:
        raise ReleaseError(
            f"{where}: the right answer of every case is an error, so that no instance could be proved.",
            fix="Record a request that the model answers with 200 as well: python -m golden record.",
        )
    return found


def record_of(found: golden.GoldenSet, uri: str | None = None) -> GoldenRecord:
    """Return the record of a golden set. `uri` None: it is in the archive."""
    return GoldenRecord(
        sha256=found.digest,
        uri=uri,
        contract=found.contract,
        cases=len(found),
        takes=tuple(sorted({case.request.content_type for case in found})),
        gives=tuple(sorted({case.expected.content_type for case in found.answered} - {""})),
        note=found.note,
    )


def fetch_golden(release: Release, run: Run) -> Path:
    """Return the release's golden set, fetched from S3 once per content.

    Raises ReleaseError when the release is UNCHECKED, or when archive or set are missing or others than recorded.
    """
    if release.unchecked:
        raise ReleaseError(f"{release.id} is {UNCHECKED}.", fix=how_to_add(run.env.name))
    record = release.golden
    folder = run.build / "golden" / (record.sha256 if record else release.weights.sha256)
    there = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if there is not None and (record is None or _sha256(there) == record.sha256):
        return there
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        found = _fetch(release, run.aws, Path(scratch))
        if record is not None and _sha256(found) != record.sha256:
            raise _differs(record.uri or f"{found.name} of {release.weights.uri}", "golden set", release)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(found, folder / found.name))


def read_golden(release: Release, run: Run) -> golden.GoldenSet | None:
    """Return the release's golden set; None when it is UNCHECKED. Raises ReleaseError as `fetch_golden` does."""
    if release.unchecked:
        return None
    path = fetch_golden(release, run)
    return parse_golden(path.read_bytes(), str(path))


def why_not_compared(release: Release, other_id: str, run: Run) -> str | None:
    """Return the reason why answers of two releases cannot be compared; None: they answer the same requests.

    `other_id`: of a release in the bucket of `run`. Raises ReleaseError when its golden set cannot be read.
    """
    if other_id == release.id:
        return None
    other = published_release(other_id, run.aws)
    unchecked = [each.id for each in (release, other) if each.unchecked]
    if unchecked:
        return f"not compared with {other_id}: {' and '.join(unchecked)} UNCHECKED, without golden requests"
    if _contract(release, run) != _contract(other, run):
        return f"not compared with {other_id}: other golden requests"
    return None


def why_not_compared_fleets(release: Release, live_config: str | None, run: Run) -> str:
    """Return, and log, why the new fleet is not compared with the live one; empty: it can be, or there is none."""
    live = release_of(live_config) if live_config else None
    if live is None:
        return ""
    try:
        why = why_not_compared(release, live, run)
    except ReleaseError as error:
        why = f"not compared with {live}: {error.what}"
    if why is None:
        return ""
    log.info(f"answers of the new fleet are {why}")
    return f"answers of the new fleet are {why}"


def fetch_object(uri: str, aws: AwsClient, scratch: Path) -> Path:
    """Download the object to `scratch`. Raises ReleaseError when there is none."""
    found = aws.find("s3", "get_object", **object_at(uri))
    if found is None:
        raise no_object(uri)
    target = scratch / "model.tar.gz"
    with target.open("wb") as out:
        shutil.copyfileobj(found["Body"], out)
    return target


def no_object(uri: str) -> ReleaseError:
    """Return the error for a missing object."""
    return ReleaseError(f"There is no object {uri}.", fix="Publish the weights, or correct the URI.")


def no_golden(source: str, environment: str) -> ReleaseError:
    """Return the error for weights that come without a golden set."""
    return ReleaseError(
        f"{source} has no golden set, and neither `golden:` of the config nor --golden names one: without golden "
        "requests no answer of this model can be compared.",
        fix=f"Make one, then publish with it:\n"
        f"    python -m golden record {source} REQUEST… --out {golden.FILE}\n"
        f"    python -m pipeline publish --env {environment} --golden {golden.FILE}\n"
        f"  (or put it into the archive, or set `golden: {golden.FILE}` in the config). `publish --unchecked` goes on "
        "without, and every verdict says UNCHECKED.",
    )


def how_to_add(environment: str) -> str:
    """Return the commands that give an UNCHECKED release its golden set."""
    return (
        f"Record one: `python -m golden record ARCHIVE REQUEST… --out {golden.FILE}`; then publish the same weights with "
        f"it, which makes the same release: `python -m pipeline publish --env {environment} --golden {golden.FILE}`."
    )


def _contract(release: Release, run: Run) -> str:
    if release.golden is not None:
        return release.golden.contract
    found = read_golden(release, run)  # an earlier version of the pipeline published it
    assert found is not None, "only an UNCHECKED release has none"
    return found.contract


def _fetch(release: Release, aws: AwsClient, scratch: Path) -> Path:
    """Download the golden set, from its own object or out of the archive."""
    record = release.golden
    if record is not None and record.uri is not None:
        return fetch_object(record.uri, aws, scratch).rename(scratch / golden.FILE)
    packed = fetch_object(release.weights.uri, aws, scratch)
    if _sha256(packed) != release.weights.sha256:
        raise _differs(release.weights.uri, "weights", release)
    found = members(packed, frozenset(NAMES), release.weights.uri)
    name = next((name for name in NAMES if name in found), None)
    if name is None:
        raise ReleaseError(f"{release.weights.uri} holds no {golden.FILE}.", fix="Publish it again.")
    target = scratch / name
    target.write_bytes(found[name])
    return target


def _differs(where: str, what: str, release: Release) -> ReleaseError:
    return ReleaseError(
        f"{where} differs from the {what} that release {release.id} was published with.",
        fix="Restore the object from the bucket's versions; publish replaces none that is there.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
