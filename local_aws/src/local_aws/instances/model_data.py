"""Model data, from S3 to the directory an instance sees as /opt/ml/model.

A `ModelDataUrl` and `S3Object` + `Gzip` are one .tar.gz; `S3Object` + `None` is one file; `S3Prefix` +
`None` is a tree. What SageMaker refuses is refused here, with a sentence: links and paths that leave
the directory, "folder" objects, impossible names, a file where another key needs a directory.

Sources of SageMaker's texts: aws-samples/cvat-on-aws-china#3 (download), aws/deep-learning-containers#569 (extraction).
"""

import hashlib
import io
import os
import tarfile
import threading
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from local_aws.instances.started_resources import remove_tree

_LONGEST_NAME_BYTES = 255


class ModelDataError(Exception):
    """Model data that cannot be given to an instance; the text can stand as a FailureReason."""


class Objects(Protocol):
    """The reads of S3 that model data needs."""

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object. Raises KeyError when there is no such bucket or key."""
        ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """List the keys that begin with the prefix. Raises KeyError when there is no such bucket."""
        ...


class ModelData:
    """A cache of unpacked model data in `directory`: once per content, read-only, shared by instances.

    Calls block (they read and unpack); they may come from several threads.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def unpack(self, source: str | Mapping[str, Any], objects: Objects) -> Path:
        """Unpack the model of a ModelDataUrl or ModelDataSource; return its directory. Raises ModelDataError."""
        files = fetch(source, objects)
        target = self._directory / _content_hash(files)
        with self._lock:
            if not target.exists():
                _write(files, target)
        return target

    def remove(self) -> None:
        """Remove all unpacked models; no instance may be using one."""
        remove_tree(self._directory)


def fetch(source: str | Mapping[str, Any], objects: Objects) -> dict[str, bytes]:
    """Read all files of a model: bytes by path relative to /opt/ml/model. Raises ModelDataError."""
    if isinstance(source, str):
        source = {"S3DataSource": {"S3Uri": source, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
    data = source["S3DataSource"]
    unknown = sorted(set(data) - {"S3Uri", "S3DataType", "CompressionType"})
    if unknown:
        raise ModelDataError(f"ModelDataSource.S3DataSource.{unknown[0]} is not imitated on this machine.")
    uri, form = data["S3Uri"], (data["S3DataType"], data["CompressionType"])
    bucket, key = split_uri(uri)
    if form == ("S3Object", "Gzip"):
        return read_archive(_read(objects, bucket, key), uri)
    if form == ("S3Object", "None"):
        return {key.rsplit("/", 1)[-1]: _read(objects, bucket, key)}
    if form == ("S3Prefix", "None"):
        return _fetch_prefix(objects, bucket, key, uri)
    raise ModelDataError(f"S3DataType {form[0]} with CompressionType {form[1]} is not a kind of model data.")


def split_uri(uri: str) -> tuple[str, str]:
    """Split an s3:// URI (or S3's https form) into bucket and key. Raises ModelDataError."""
    parts = urlsplit(uri)
    if parts.scheme == "s3" and parts.netloc and parts.path.strip("/"):
        return parts.netloc, parts.path.lstrip("/")
    host, _, rest = parts.path.lstrip("/").partition("/")
    if parts.scheme == "https" and parts.netloc.startswith("s3") and host and rest:
        return host, rest
    raise ModelDataError(f'Model data must be at "s3://BUCKET/KEY", not at "{uri}".')


def read_archive(content: bytes, uri: str) -> dict[str, bytes]:
    """Read the files of a .tar.gz by path. Raises ModelDataError for a broken or unsafe archive."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                path = _inside(member.name, uri)
                if member.isfile():
                    opened = archive.extractfile(member)
                    assert opened is not None  # only for members that are not files
                    files[path] = opened.read()
                elif not member.isdir():
                    raise ModelDataError(
                        f'The archive "{uri}" holds {member.name!r}, which is a link or a device. '
                        "Pack plain files (tar --dereference follows links)."
                    )
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ModelDataError(
            f'Failed to extract model data archive for container "container_1" from URL "{uri}". '
            f"Please ensure that the object located at the URL is a valid tar.gz archive. ({error})"
        ) from error
    if not files:
        raise ModelDataError(f'The archive "{uri}" holds no file.')
    return files


def relative_paths(keys: Iterable[str], prefix: str, uri: str) -> dict[str, str]:
    """Return the path under /opt/ml/model of each key below a prefix. Raises ModelDataError by SageMaker's rules."""
    paths = {key: key[len(prefix) :] for key in keys}
    if not paths:
        raise ModelDataError(f'There is no object below "{uri}".')
    taken = set(paths.values())
    for key, path in paths.items():
        names = path.split("/")
        if any(name in ("", ".", "..") or len(name.encode()) > _LONGEST_NAME_BYTES for name in names):
            raise ModelDataError(
                f'The key "{key}" below "{uri}" is no file path: a "folder" object, or a part that is empty, '
                f'".", ".." or longer than {_LONGEST_NAME_BYTES} bytes. Delete that object.'
            )
        clash = taken.intersection(str(parent) for parent in PurePosixPath(path).parents)
        if clash:
            raise ModelDataError(f'"{prefix}{min(clash)}" would have to be a file and a directory at once.')
    return paths


def _fetch_prefix(objects: Objects, bucket: str, prefix: str, uri: str) -> dict[str, bytes]:
    if not prefix.endswith("/"):
        raise ModelDataError(f'The S3Uri of an S3Prefix must end with "/": "{uri}".')
    try:
        keys = objects.keys(bucket, prefix)
    except KeyError as error:
        raise ModelDataError(f'There is no bucket "{bucket}" ("{uri}").') from error
    return {path: _read(objects, bucket, key) for key, path in relative_paths(keys, prefix, uri).items()}


def _read(objects: Objects, bucket: str, key: str) -> bytes:
    try:
        return objects.read(bucket, key)
    except KeyError as error:
        raise ModelDataError(not_downloaded(f"s3://{bucket}/{key}")) from error


def not_downloaded(uri: str) -> str:
    """Return SageMaker's sentence for model data that is not there, or that the role may not read."""
    return (
        f'Failed to download model data for container "container_1" from URL: "{uri}". Please ensure that there is '
        "an object located at the URL and that the role passed to CreateModel has permissions to download the object."
    )


def _inside(name: str, uri: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelDataError(
            f'The archive "{uri}" holds {name!r}, which lies outside of the model directory.'
        )
    return str(path)


def _content_hash(files: Mapping[str, bytes]) -> str:
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(f"{len(path.encode())} {len(files[path])} {path}".encode())
        content.update(files[path])
    return content.hexdigest()[:32]


def _write(files: Mapping[str, bytes], target: Path) -> None:
    """Write all or nothing: the directory appears under its name when it is complete."""
    draft = target.with_suffix(".unpacking")
    remove_tree(draft)  # of an attempt that failed
    draft.mkdir(parents=True)
    for path, content in files.items():
        file = draft / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise ModelDataError(f"{path!r} of the model cannot be written: {error.strerror}.") from error
        file.chmod(0o444)
    draft.rename(target)
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o555)
