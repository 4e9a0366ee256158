"""Weights: one reproducible archive, at a key in S3 that its content names."""

import base64
import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.aws import Aws
from pipeline.calls import Call
from pipeline.errors import ConfigError, ReleaseError
from pipeline.records import Say
from pipeline.release import Release, Weights

GOLDEN = "golden.json"
LARGEST_SINGLE_UPLOAD = 5 * 1024**3  # S3's limit for one PutObject


def archive(directory: Path, target: BinaryIO) -> None:
    """Write `directory` as .tar.gz, the same bytes for the same content: sorted, no times, no owners."""
    with (
        gzip.GzipFile(fileobj=target, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in _files(directory):
            member = tarfile.TarInfo(path.relative_to(directory).as_posix())
            member.size, member.mode, member.mtime = path.stat().st_size, 0o644, 0
            with path.open("rb") as content:
                tar.addfile(member, content)


def _files(directory: Path) -> Iterator[Path]:
    """Yield what is archived. Links to files are followed: SageMaker takes no link in an archive."""
    for path in sorted(directory.rglob("*")):
        if path.is_dir() and path.is_symlink():
            raise ConfigError(f"{path} is a link to a directory.", fix="Put the files there themselves.")
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def sync_weights(source: str, aws: Aws, say: Say) -> Weights:
    """Have the weights named by `source` in the release bucket; unchanged content uploads nothing.

    `source`: a local directory or .tar.gz, s3://bucket/key.tar.gz, or training-job/NAME.
    Raises ConfigError when there is nothing there, ReleaseError when the upload is not what was sent.
    """
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        local = _local_archive(source, aws, Path(scratch))
        sha256 = _sha256(local)
        size = local.stat().st_size
        key = f"weights/{sha256}/model.tar.gz"
        uri = f"s3://{aws.env.aws.bucket}/{key}"
        if _is_there(key, sha256, aws):
            say(f"weights {sha256[:8]} are in S3 already: nothing uploaded")
        else:
            _member(local, GOLDEN, source)  # without it nobody could tell whether the release is live
            _upload(local, key, sha256, aws, say)
    return Weights(uri=uri, sha256=sha256, bytes=size)


def fetch_golden(release: Release, aws: Aws, build: Path) -> Path:
    """Return golden.json of the release's own archive, taken from S3 once per content.

    Raises ReleaseError when the archive is missing, is another one, or holds no golden.json.
    """
    target = build / "golden" / f"{release.weights.sha256}.json"
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        packed = _fetch(release.weights.uri, aws, Path(scratch))
        if _sha256(packed) != release.weights.sha256:
            raise ReleaseError(
                f"{release.weights.uri} is not what release {release.id} was published with.",
                fix="Restore the object from the bucket's versions, or publish the weights again.",
            )
        content = _member(packed, GOLDEN, release.weights.uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def golden_payload(golden: Path) -> bytes:
    """Return an /invocations body with the first golden case."""
    case = json.loads(golden.read_text())["cases"][0]
    return json.dumps({"instances": [case["instance"]]}).encode()


def _local_archive(source: str, aws: Aws, scratch: Path) -> Path:
    if source.startswith("training-job/"):
        source = _artifact_of(source.removeprefix("training-job/"), aws)
    if source.startswith("s3://"):
        return _fetch(source, aws, scratch)
    path = Path(source)
    if path.is_dir():
        target = scratch / "model.tar.gz"
        with target.open("wb") as out:
            archive(path, out)
        return target
    if path.is_file() and path.name.endswith(".tar.gz"):
        return path
    raise ConfigError(
        f"There are no weights at '{source}'.",
        fix="Name a directory, a .tar.gz, s3://bucket/key.tar.gz or training-job/NAME "
        "(`weights:` in the config, or --weights).",
    )


def _artifact_of(job: str, aws: Aws) -> str:
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


def _fetch(uri: str, aws: Aws, scratch: Path) -> Path:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found = aws.find("s3", "get_object", Bucket=bucket, Key=key)
    if found is None:
        raise ReleaseError(f"There is no object {uri}.", fix="Publish the weights, or correct the URI.")
    target = scratch / "model.tar.gz"
    with target.open("wb") as out:
        shutil.copyfileobj(found["Body"], out)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _member(packed: Path, name: str, where: str) -> bytes:
    try:
        with tarfile.open(packed, mode="r:gz") as tar:
            for member in tar:
                if member.name.removeprefix("./") == name and (content := tar.extractfile(member)):
                    return content.read()
    except tarfile.TarError as error:
        raise ReleaseError(f"{where} is not a .tar.gz: {error}", fix="Publish other weights.") from error
    raise ReleaseError(
        f"{where} holds no {name}.", fix="`train` writes it: golden inputs with their expected answers."
    )


def _is_there(key: str, sha256: str, aws: Aws) -> bool:
    head = aws.find("s3", "head_object", Bucket=aws.env.aws.bucket, Key=key, ChecksumMode="ENABLED")
    return head is not None and head.get("ChecksumSHA256") == _base64(sha256)


def _upload(local: Path, key: str, sha256: str, aws: Aws, say: Say) -> None:
    size = local.stat().st_size
    if size > LARGEST_SINGLE_UPLOAD:
        raise ConfigError(f"{local} has {size:,} bytes; one upload takes 5 GiB.", fix="Use smaller weights.")
    with local.open("rb") as body:
        params = {
            "Bucket": aws.env.aws.bucket,
            "Key": key,
            "Body": body,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": _base64(sha256),  # S3 refuses the upload when it arrives as anything else
        }
        says = f"upload weights {sha256[:8]}, {size:,} bytes"
        say(says)
        aws.apply(Call("s3", "put_object", params, says))
    if not _is_there(key, sha256, aws):
        raise ReleaseError(f"s3://{aws.env.aws.bucket}/{key} is not what was sent.", fix="Publish again.")


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()
