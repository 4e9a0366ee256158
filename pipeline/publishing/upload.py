"""One large file to S3, in parts, checksum by checksum; an interrupted upload goes on where it stopped."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipeline.aws.calls import Call
from pipeline.errors import AwsRefused, ReleaseError
from pipeline.publishing.digests import Digests, Part, cut, is_same

SENT_AT_ONCE = 4
CHECKED = {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}
ONCE = {
    "IfNoneMatch": "*"
}  # a deploy role may not replace what is there, and need not: keys name their content
WRITTEN_BY_ANOTHER = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
Sent = Callable[[int], None]  # so many bytes more have arrived


class Store(Protocol):
    """What an upload needs of S3."""

    def apply(self, call: Call) -> dict[str, Any]: ...
    def read(self, service: str, operation: str, **params: Any) -> dict[str, Any]: ...
    def find(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None: ...
    def pages(self, service: str, operation: str, member: str, **params: Any) -> Iterable[dict[str, Any]]: ...


def upload(
    path: Path, where: Mapping[str, str], digests: Digests, store: Store, says: str, sent: Sent
) -> None:
    """Send a file to `where`, Bucket and Key, unless something is there, and verify what is there then.

    Of two uploads of the same content at once, either may be the one that S3 keeps. Raises ReleaseError
    when S3 has something else afterwards.
    """
    parts = cut(digests.size)
    if len(parts) == 1:
        _send_whole(path, where, digests, store, says)
        sent(digests.size)
    else:
        _send_parts(path, where, digests, parts, store, says, sent)
    if not is_there(where, digests.checksum, digests.size, store):
        raise ReleaseError(
            f"s3://{where['Bucket']}/{where['Key']} is not what was sent.",
            fix="An object is never replaced: have an administrator delete it, then publish again.",
        )


def is_there(where: Mapping[str, str], checksum: str, size: int, store: Store) -> bool:
    """Say whether S3 has exactly this content at the key: a key alone proves nothing."""
    head = store.find("s3", "head_object", **where, ChecksumMode="ENABLED") or {}
    return head.get("ContentLength") == size and is_same(head.get("ChecksumSHA256"), checksum)


def missing_parts(
    parts: Sequence[Part], digests: Sequence[bytes], listed: Iterable[Mapping[str, Any]]
) -> list[Part]:
    """Return the parts that S3 does not have yet, by the checksums that ListParts tells."""
    there = {int(each["PartNumber"]): each.get("ChecksumSHA256") for each in listed}
    return [part for part in parts if there.get(part.number) != _base64(digests[part.number - 1])]


def _send_whole(path: Path, where: Mapping[str, str], digests: Digests, store: Store, says: str) -> None:
    with path.open("rb") as body:
        checked = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digests.checksum}
        _write(Call("s3", "put_object", {**where, "Body": body, **checked, **ONCE}, says), store)


def _write(call: Call, store: Store) -> bool:
    """Make the call that creates the object; False when another has written it meanwhile."""
    try:
        store.apply(call)
    except AwsRefused as error:
        if error.code not in WRITTEN_BY_ANOTHER:
            raise
        return False
    return True


def _send_parts(
    path: Path,
    where: Mapping[str, str],
    digests: Digests,
    parts: Sequence[Part],
    store: Store,
    says: str,
    sent: Sent,
) -> None:
    upload_id, listed = _begun(where, store)
    missing = missing_parts(parts, digests.parts, listed)
    sent(digests.size - sum(part.size for part in missing))
    etags = {int(each["PartNumber"]): str(each["ETag"]) for each in listed}
    send = partial(_send_part, path, {**where, "UploadId": upload_id}, digests, store)
    with ThreadPoolExecutor(SENT_AT_ONCE) as pool:
        for part, etag in zip(missing, pool.map(send, missing), strict=True):
            etags[part.number] = etag
            sent(part.size)
    arrived = [
        {
            "PartNumber": part.number,
            "ETag": etags[part.number],
            "ChecksumSHA256": _base64(digests.parts[part.number - 1]),
        }
        for part in parts
    ]
    _complete({**where, "UploadId": upload_id}, arrived, store, says)


def _complete(
    where: Mapping[str, str], arrived: Sequence[Mapping[str, Any]], store: Store, says: str
) -> None:
    """Make one object of the parts; where another has written it meanwhile, drop them."""
    params = {**where, "MultipartUpload": {"Parts": arrived}, **ONCE}
    try:
        if not _write(Call("s3", "complete_multipart_upload", params, says), store):
            store.find("s3", "abort_multipart_upload", **where)
    except AwsRefused as error:
        if error.code != "NoSuchUpload":  # another publish of the same content has completed it
            raise


def _begun(where: Mapping[str, str], store: Store) -> tuple[str, list[dict[str, Any]]]:
    """Return an upload of this key that an interrupted run has begun, with its parts; else a new one."""
    bucket, key = where["Bucket"], where["Key"]
    uploads = store.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket, Prefix=key)
    for begun in uploads:
        if begun["Key"] == key and begun.get("ChecksumAlgorithm", "SHA256") == "SHA256":
            listed = store.pages("s3", "list_parts", "Parts", **where, UploadId=begun["UploadId"])
            return str(begun["UploadId"]), list(listed)
    made = store.read("s3", "create_multipart_upload", **where, **CHECKED)
    return str(made["UploadId"]), []


def _send_part(path: Path, where: Mapping[str, str], digests: Digests, store: Store, part: Part) -> str:
    with path.open("rb") as content:
        content.seek(part.start)
        body = content.read(part.size)
    checked = {"ChecksumSHA256": _base64(digests.parts[part.number - 1])}
    answer = store.read("s3", "upload_part", **where, PartNumber=part.number, Body=body, **checked)
    return str(answer["ETag"])


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
