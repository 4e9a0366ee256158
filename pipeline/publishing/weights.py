"""Weights: one reproducible archive, at a key in S3 derived from its content."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline.aws import AwsClient
from pipeline.aws.s3_objects import object_at
from pipeline.errors import ConfigError, ReleaseError
from pipeline.model import Model
from pipeline.publishing.compatibility import ENGINES, requirements_of
from pipeline.publishing.digests import digests_of, fingerprint
from pipeline.publishing.upload import Upload, is_there
from pipeline.publishing.upload_progress import upload_progress
from pipeline.release import GoldenRecord, Weights
from pipeline.release_store.archives import archive, archived_files, members, only_folder
from pipeline.release_store.golden import NAMES, fetch_object, no_object, parse_golden, record_of

log = logging.getLogger(__name__)

METRICS = "metrics.json"


class SyncedWeights(Model):
    """Weights in the release bucket, and the golden set in their archive; None: it holds none."""

    weights: Weights
    golden: GoldenRecord | None


def sync_weights(
    source: str, aws: AwsClient, *, accept: Callable[[GoldenRecord | None], object] = lambda _: None
) -> SyncedWeights:
    """Upload the weights of `source` to the release bucket, unless the same content is there.

    `source`: a local directory or .tar.gz, s3://bucket/key.tar.gz, or training-job/NAME. A source whose
    fingerprint is known is neither packed nor fetched again. `accept` is called with the archive's golden set before
    anything is sent, and raises when it will not do. Raises ConfigError when there is no such source, ReleaseError when the object in S3 differs from the upload, or the archive cannot be served or compared.
    """
    if source.startswith("training-job/"):
        source = _artifact_of(source.removeprefix("training-job/"), aws)
    seen = f"weights-seen/{_fingerprint(source, aws)}.json"
    known = _known(aws.get_json(seen))
    if known is not None and _is_there(known.weights, aws):
        accept(known.golden)
        log.info(f"weights {known.weights.sha256[:8]} are in S3 already: nothing uploaded")
        return known
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        synced = _sync(_local_archive(source, aws, Path(scratch)), source, aws, accept)
    if known != synced:
        aws.put_json(seen, synced.document())
    return synced


def _sync(
    local: Path, source: str, aws: AwsClient, accept: Callable[[GoldenRecord | None], object]
) -> SyncedWeights:
    _require_flat(local, source)
    digests = digests_of(local)
    bucket, key = aws.place.bucket, f"weights/{digests.sha256}/model.tar.gz"
    found = members(local, frozenset({*NAMES, METRICS, ENGINES}), source)
    weights = Weights(
        uri=f"s3://{bucket}/{key}",
        sha256=digests.sha256,
        bytes=digests.size,
        checksum=digests.checksum,
        metrics=_figures(found.get(METRICS, b"{}"), source),
        fits=requirements_of(found[ENGINES], source) if ENGINES in found else None,
    )
    synced = SyncedWeights(weights=weights, golden=_golden_in(found, source))
    accept(synced.golden)
    if _is_there(weights, aws):
        log.info(f"weights {weights.sha256[:8]} are in S3 already: nothing uploaded")
        return synced
    says = f"upload weights {weights.sha256[:8]}, {digests.size:,} bytes"
    log.info(says)
    with upload_progress("weights", digests.size) as sent:
        Upload(local, {"Bucket": bucket, "Key": key}, digests, aws, says).send(sent)
    return synced


def _require_flat(local: Path, source: str) -> None:
    """Return when an archive has its files at its top. Raises ReleaseError with the line that repacks it."""
    folder = only_folder(local, source)
    if folder is None:
        return
    repack = (
        f"mkdir repacked && tar -xzf {source} -C repacked && tar -czf model.tar.gz -C repacked/{folder} ."
    )
    if Path(source).is_dir():
        repack = f"name {Path(source) / folder} as the weights"
    elif source.startswith("s3://"):
        repack = f"aws s3 cp {source} . && {repack.replace(source, source.rpartition('/')[2])}"
    raise ReleaseError(
        f"All of {source} lies in its folder {folder}/: SageMaker unpacks it to /opt/ml/model/{folder}, where no model "
        "is looked for.",
        fix=f"Repack it: {repack}",
    )


def _golden_in(found: Mapping[str, bytes], source: str) -> GoldenRecord | None:
    name = next((name for name in NAMES if name in found), None)
    return None if name is None else record_of(parse_golden(found[name], f"{name} of {source}"))


def _figures(metrics: bytes, source: str) -> dict[str, float]:
    """Read the numbers in training's metrics; other values are ignored."""
    try:
        written = json.loads(metrics)
    except ValueError as error:
        raise ReleaseError(f"{METRICS} of {source} is not JSON: {error}", fix="Train again.") from error
    pairs = written.items() if isinstance(written, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, int | float) and value == value}


def _is_there(weights: Weights, aws: AwsClient) -> bool:
    where = object_at(weights.uri)
    if where["Bucket"] != aws.place.bucket or weights.checksum is None:
        return False
    return is_there(where, weights.checksum, weights.bytes, aws)


def _known(document: object) -> SyncedWeights | None:
    """Read the note of an earlier publish; None when there is none, or another version wrote it."""
    try:
        return None if document is None else SyncedWeights.model_validate(document)
    except ValidationError:
        return None


def _fingerprint(source: str, aws: AwsClient) -> str:
    """Return a hash of a source's content; of an object in S3: of its address, size and ETag."""
    if source.startswith("s3://"):
        head = aws.find("s3", "head_object", **object_at(source))
        if head is None:
            raise no_object(source)
        identity = json.dumps([source, head["ETag"], head["ContentLength"], head.get("VersionId")])
        return hashlib.sha256(identity.encode()).hexdigest()
    path = Path(source)
    if path.is_dir():
        return fingerprint(list(archived_files(path)))
    if path.is_file() and path.name.endswith(".tar.gz"):
        return fingerprint([("model.tar.gz", path)])
    raise ConfigError(
        f"There are no weights at '{source}'.",
        fix="Name a directory, a .tar.gz, s3://bucket/key.tar.gz or training-job/NAME "
        "(`weights:` in the config, or --weights).",
    )


def _local_archive(source: str, aws: AwsClient, scratch: Path) -> Path:
    if source.startswith("s3://"):
        return fetch_object(source, aws, scratch)
    path = Path(source)
    if path.is_file():
        return path
    target = scratch / "model.tar.gz"
    with target.open("wb") as out:
        archive(path, out)
    return target


def _artifact_of(job: str, aws: AwsClient) -> str:
    found = aws.find("sagemaker", "describe_training_job", TrainingJobName=job)
    if found is None:
        raise ConfigError(
            f"There is no training job '{job}'.", fix="List them: aws sagemaker list-training-jobs"
        )
    if found["TrainingJobStatus"] != "Completed":
        raise ConfigError(
            f"Training job {job} is {found['TrainingJobStatus']}.",
            fix="Wait for it, or name a completed one.",
        )
    return str(found["ModelArtifacts"]["S3ModelArtifacts"])
