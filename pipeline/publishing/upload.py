"""Upload one large file to S3, in parts with checksums; an interrupted upload is resumed."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Upload:
    """One file on its way to `where`, Bucket and Key. `says`: the sentence of the write."""

    path: Path
    where: Mapping[str, str]
    digests: Digests
    store: StoresObjects
    says: str

    def send(self, sent: Sent = lambda _: None) -> None:
        """Send the file and verify the object. Raises ReleaseError when S3 has another content afterwards."""
        parts = cut(self.digests.size)
        if len(parts) == 1:
            self._send_whole()
            sent(self.digests.size)
        else:
            self._send_parts(parts, sent)
        if not is_there(self.where, self.digests.checksum, self.digests.size, self.store):
            raise ReleaseError(
                f"s3://{self.where['Bucket']}/{self.where['Key']} is not what was sent.", fix="Publish again."
            )

    def _send_whole(self) -> None:
        checked = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": self.digests.checksum}
        with self.path.open("rb") as body:
            self.store.apply(Call("s3", "put_object", {**self.where, "Body": body, **checked}, self.says))

    def _send_parts(self, parts: Sequence[Part], sent: Sent) -> None:
        upload_id, listed = self._begun()
        missing = missing_parts(parts, self.digests.parts, listed)
        sent(self.digests.size - sum(part.size for part in missing))
        etags = {int(each["PartNumber"]): str(each["ETag"]) for each in listed}
        with ThreadPoolExecutor(SENT_AT_ONCE) as pool:
            for part, etag in zip(
                missing, pool.map(partial(self._send_part, upload_id), missing), strict=True
            ):
                etags[part.number] = etag
                sent(part.size)
        arrived = [
            {"PartNumber": part.number, "ETag": etags[part.number], "ChecksumSHA256": self._checksum(part)}
            for part in parts
        ]
        params = {**self.where, "UploadId": upload_id, "MultipartUpload": {"Parts": arrived}}
        try:
            self.store.apply(Call("s3", "complete_multipart_upload", params, self.says))
        except AwsRefused as error:
            if error.code != "NoSuchUpload":  # another publish of the same content has completed it
                raise

    def _begun(self) -> tuple[str, list[dict[str, Any]]]:
        """Return the upload of this key that an interrupted run has begun, with its parts; else a new one."""
        bucket, key = self.where["Bucket"], self.where["Key"]
        uploads = self.store.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket, Prefix=key)
        for begun in uploads:
            if begun["Key"] == key and begun.get("ChecksumAlgorithm", "SHA256") == "SHA256":
                which = {**self.where, "UploadId": begun["UploadId"]}
                return str(begun["UploadId"]), list(self.store.pages("s3", "list_parts", "Parts", **which))
        made = self.store.read("s3", "create_multipart_upload", **self.where, **CHECKED)
        return str(made["UploadId"]), []

    def _send_part(self, upload_id: str, part: Part) -> str:
        with self.path.open("rb") as content:
            content.seek(part.start)
            body = content.read(part.size)
        which = {**self.where, "UploadId": upload_id, "PartNumber": part.number}
        checked = {"ChecksumSHA256": self._checksum(part)}
        return str(self.store.read("s3", "upload_part", **which, Body=body, **checked)["ETag"])

    def _checksum(self, part: Part) -> str:
        return _base64(self.digests.parts[part.number - 1])


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


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
