"""S3 with verified checksums and serialised conditional writes.

(moto accepts any checksum; it checks the condition before it writes, so two writers may both succeed.)
"""

import base64
import binascii
import hashlib
import re
import threading
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

from moto.s3 import urls
from moto.s3.models import S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.s3.utils import compute_checksum

from local_aws.errors import AwsError
from local_aws.s3_multipart import check_completion, qualified, with_checksum

VERIFIED = ("SHA256", "SHA1", "CRC32")
"""Algorithms that are verified; CRC32C and CRC64NVME are stored as they are sent."""


MD5_BYTES = 16

_one_at_a_time = threading.Lock()


class CheckedS3Response(S3Response):  # type: ignore[misc]  # moto is untyped here
    """One request to S3."""

    def _key_response(self, request: Any, full_url: str) -> Any:
        self._check_md5()
        return super()._key_response(request, full_url)

    def _bucket_response(self, request: Any, full_url: str) -> Any:
        self._check_md5()
        return super()._bucket_response(request, full_url)

    def _check_md5(self) -> None:
        """Return when the body has the Content-MD5 that came with it, if any. Raises AwsError (ceph/s3-tests#18)."""
        sent = self.headers.get("Content-MD5")
        if sent is None:
            return
        try:
            is_digest = len(base64.b64decode(sent, validate=True)) == MD5_BYTES
        except binascii.Error:
            is_digest = False
        if not is_digest:
            raise AwsError("InvalidDigest", "The Content-MD5 you specified was invalid.")
        body = self.body if isinstance(self.body, bytes) else str(self.body or "").encode()
        if sent != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
            raise AwsError("BadDigest", "The Content-MD5 you specified did not match what we received.")

    def _key_response_put(self, query: dict[str, Any], key_name: str) -> Any:
        for algorithm in VERIFIED:
            sent = self._sent(f"x-amz-checksum-{algorithm.lower()}")
            if sent and sent != compute_checksum(self.body or b"", algorithm).decode():
                text = f"The {algorithm} you specified did not match the calculated checksum."
                raise AwsError("BadDigest", text)
        with self._turn():
            return super()._key_response_put(query, key_name)

    def _key_response_post(
        self, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
    ) -> Any:
        """Check the checksums of a completed upload, and answer with the object's."""
        upload = query.get("uploadId", [""])[0]
        if not upload:
            return super()._key_response_post(request, body, bucket_name, query, key_name)
        multipart = self.backend.get_bucket(bucket_name).multiparts.get(upload)
        if multipart is not None:
            check_completion(multipart, body)
        status, headers, answer = super()._key_response_post(request, body, bucket_name, query, key_name)
        key = self.backend.get_object(bucket_name, key_name)
        return status, headers, with_checksum(answer, key) if status == HTTPStatus.OK and key else answer

    def head_object(
        self, bucket_name: str, query: dict[str, Any], key_name: str, headers: dict[str, Any]
    ) -> Any:
        """Describe an object, with its checksum as S3 writes it."""
        status, answered, body = super().head_object(bucket_name, query, key_name, headers)
        if status != HTTPStatus.OK:
            return status, answered, body
        version = query.get("versionId", [None])[0]
        key = self.backend.get_object(bucket_name, key_name, version_id=version)
        return status, qualified(answered, key), body

    def delete_object(self) -> Any:
        """Check `If-Match` and delete one object."""
        with self._turn():
            return super().delete_object()

    def _turn(self) -> AbstractContextManager[Any]:
        """Wait for the other conditional writes."""
        conditional = self.headers.get("If-Match") or self.headers.get("If-None-Match")
        return _one_at_a_time if conditional else nullcontext()

    def _sent(self, header: str) -> str | None:
        """Find a checksum among the headers, or after the body where a trailer was announced."""
        value: str | None = self.headers.get(header)
        if value is None and self.headers.get("x-amz-trailer", "").lower() == header:
            found = re.search(header.encode() + rb":\s*([\w+/=]+)", self.raw_body[-1024:], re.IGNORECASE)
            return found[1].decode() if found else None
        return value


class CheckedS3Backend(S3Backend):  # type: ignore[misc]
    """moto's S3, whose URLs lead to `CheckedS3Response`; moto's own loads its URLs anew each time."""

    @property
    def _url_module(self) -> Any:
        return urls


def install() -> None:
    """Install it in moto's S3, before the first request."""
    for pattern, handler in urls.url_paths.items():
        urls.url_paths[pattern] = getattr(CheckedS3Response, handler.__name__)
    seam: Any = s3_backends
    seam.backend = CheckedS3Backend
    seam.clear()
