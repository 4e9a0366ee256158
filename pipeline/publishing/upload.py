"""Upload one large file to S3, in parts with checksums; an interrupted upload is resumed."""

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
Sent = Callable[[int], None]  # called with the number of bytes that arrived


class StoresObjects(Protocol):
    """The calls of an upload, as AwsClient makes them."""

    def apply(self, call: Call) -> dict[str, Any]: ...
    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]: ...
    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None: ...
    def pages(
        self, service: str, operation: str, member: str, /, **params: Any
    ) -> Iterable[dict[str, Any]]: ...


def upload(
    path: Path, where: Mapping[str, str], digests: Digests, store: StoresObjects, says: str, sent: Sent
) -> None:
    """Send a file to `where`, Bucket and Key, and verify the object.

    Raises ReleaseError when S3 has another content afterwards.
    """
    parts = cut(digests.size)
    if len(parts) == 1:
        _send_whole(path, where, digests, store, says)
        sent(digests.size)
    else:
        _send_parts(path, where, digests, parts, store, says, sent)
    if not is_there(where, digests.checksum, digests.size, store):
        raise ReleaseError(
            f"s3://{where['Bucket']}/{where['Key']} is not what was sent.", fix="Publish again."
        )


def is_there(where: Mapping[str, str], checksum: str, size: int, store: StoresObjects) -> bool:
    """Say whether S3 has exactly this content at the key: a key alone proves nothing."""
    head = store.find("s3", "head_object", **where, ChecksumMode="ENABLED") or {}
    return head.get("ContentLength") == size and is_same(head.get("ChecksumSHA256"), checksum)


def missing_parts(
    parts: Sequence[Part], digests: Sequence[bytes], listed: Iterable[Mapping[str, Any]]
) -> list[Part]:
    """Return the parts that S3 does not have yet, by the checksums of ListParts."""
    there = {int(each["PartNumber"]): each.get("ChecksumSHA256") for each in listed}
    return [part for part in parts if there.get(part.number) != _base64(digests[part.number - 1])]


def _send_whole(
    path: Path, where: Mapping[str, str], digests: Digests, store: StoresObjects, says: str
) -> None:
    with path.open("rb") as body:
        checked = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digests.checksum}
        store.apply(Call("s3", "put_object", {**where, "Body": body, **checked}, says))


def _send_parts(
    path: Path,
    where: Mapping[str, str],
    digests: Digests,
    parts: Sequence[Part],
    store: StoresObjects,
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
    params = {**where, "UploadId": upload_id, "MultipartUpload": {"Parts": arrived}}
    try:
        store.apply(Call("s3", "complete_multipart_upload", params, says))
    except AwsRefused as error:
        if error.code != "NoSuchUpload":  # another publish of the same content has completed it
            raise


def _begun(where: Mapping[str, str], store: StoresObjects) -> tuple[str, list[dict[str, Any]]]:
    """Return the upload of this key that an interrupted run has begun, with its parts; else a new one."""
    bucket, key = where["Bucket"], where["Key"]
    uploads = store.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket, Prefix=key)
    for begun in uploads:
        if begun["Key"] == key and begun.get("ChecksumAlgorithm", "SHA256") == "SHA256":
            listed = store.pages("s3", "list_parts", "Parts", **where, UploadId=begun["UploadId"])
            return str(begun["UploadId"]), list(listed)
    made = store.read("s3", "create_multipart_upload", **where, **CHECKED)
    return str(made["UploadId"]), []


def _send_part(
    path: Path, where: Mapping[str, str], digests: Digests, store: StoresObjects, part: Part
) -> str:
    with path.open("rb") as content:
        content.seek(part.start)
        body = content.read(part.size)
    checked = {"ChecksumSHA256": _base64(digests.parts[part.number - 1])}
    answer = store.read("s3", "upload_part", **where, PartNumber=part.number, Body=body, **checked)
    return str(answer["ETag"])


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
