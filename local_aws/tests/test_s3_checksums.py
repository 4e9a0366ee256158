"""S3 keeps what was sent, or nothing."""

import base64
import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import local_aws
from testbed.serving import NO_RETRY, refused

pytestmark = pytest.mark.starts_processes

CONTENT = b"weights" * 1000
SHA256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
SHA1 = base64.b64encode(hashlib.sha1(CONTENT).digest()).decode()
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
MD5_OF_OTHER = base64.b64encode(hashlib.md5(b"other").digest()).decode()
CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()


@pytest.fixture(scope="module")
def s3(aws: local_aws.Running) -> Any:
    client = aws.client("s3", config=NO_RETRY)
    client.create_bucket(Bucket="checked", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.mark.parametrize(("algorithm", "right"), [("SHA256", SHA256), ("SHA1", SHA1), ("CRC32", CRC32)])
def test_an_object_that_is_not_what_was_sent_is_refused(s3: Any, algorithm: str, right: str) -> None:
    request = {"Bucket": "checked", "Key": algorithm, "ChecksumAlgorithm": algorithm}
    name = f"Checksum{algorithm}"
    message = refused("BadDigest", s3.put_object, **request, Body=CONTENT + b"!", **{name: right})
    assert algorithm in message
    refused("404", s3.head_object, Bucket="checked", Key=algorithm)

    s3.put_object(**request, Body=CONTENT, **{name: right})
    assert s3.head_object(Bucket="checked", Key=algorithm, ChecksumMode="ENABLED")[name] == right


@pytest.mark.parametrize(
    ("sent", "code"), [(MD5, None), (MD5_OF_OTHER, "BadDigest"), ("no digest", "InvalidDigest")]
)
def test_a_body_without_its_md5_is_refused(
    aws: local_aws.Running, s3: Any, sent: str, code: str | None
) -> None:
    request = {"Bucket": "checked", "Key": "by-md5", "Body": CONTENT, "ContentMD5": sent}
    tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
    if code is None:
        assert s3.put_object(**request)["ETag"]
        return
    assert "Content-MD5 you specified" in refused(code, s3.put_object, **request)
    assert "Content-MD5 you specified" in refused(
        code, s3.put_bucket_tagging, Bucket="checked", Tagging=tags, ContentMD5=sent
    )


def test_the_checksum_of_parts_says_how_many_they_are(s3: Any) -> None:
    """The digest of the parts' digests (getmoto/moto#8875)."""
    first, last = b"1" * 5 * 1024**2, CONTENT
    where = {"Bucket": "checked", "Key": "composite"}
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    parts = [
        s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        for number, body in enumerate((first, last), 1)
    ]
    listed = [
        {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
        for number, part in enumerate(parts, 1)
    ]
    complete = partial(s3.complete_multipart_upload, **where, UploadId=upload)
    bare = [{key: each[key] for key in ("PartNumber", "ETag")} for each in listed]
    text = refused("InvalidRequest", complete, MultipartUpload={"Parts": bare})
    assert text.endswith("must include the checksum for each part. It was missing for part 1 in the request.")
    wrong = [{**each, "ChecksumSHA256": SHA256} for each in listed]
    refused("InvalidPart", complete, MultipartUpload={"Parts": wrong})
    done = complete(MultipartUpload={"Parts": listed})
    whole = hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in (first, last))).digest()

    assert done["ChecksumSHA256"] == f"{base64.b64encode(whole).decode()}-2"
    assert done["ChecksumType"] == "COMPOSITE"
    for described in (s3.head_object, s3.get_object):
        assert described(**where, ChecksumMode="ENABLED")["ChecksumSHA256"] == done["ChecksumSHA256"]


def test_a_part_that_is_not_what_was_sent_is_refused(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="checked", Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]
    part = {"Bucket": "checked", "Key": "parts", "UploadId": upload, "PartNumber": 1}

    refused("BadDigest", s3.upload_part, **part, Body=CONTENT[1:], ChecksumSHA256=SHA256)
    assert s3.upload_part(**part, Body=CONTENT, ChecksumSHA256=SHA256)["ETag"]


def test_clients_that_compute_checksums_by_themselves_are_served(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(CONTENT * 2000)  # several parts
    s3.upload_file(str(tmp_path / "large"), "checked", "large", ExtraArgs={"ChecksumAlgorithm": "SHA256"})
    s3.upload_file(str(tmp_path / "large"), "checked", "by default")
    s3.put_object(Bucket="checked", Key="small", Body=CONTENT)
    s3.copy_object(Bucket="checked", Key="copy", CopySource={"Bucket": "checked", "Key": "small"})

    for key, copies in {"large": 2000, "by default": 2000, "small": 1, "copy": 1}.items():
        assert s3.get_object(Bucket="checked", Key=key)["Body"].read() == CONTENT * copies


def test_of_conditional_writes_at_once_one_succeeds(s3: Any) -> None:
    """Locks are made of this. The body is large, so that writing takes long enough for others to look."""

    def wins(word: str, **condition: str) -> bool:
        try:
            s3.put_object(Bucket="checked", Key="lock", Body=word.encode() * 2_000_000, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(4):
            words = [f"{round_} {number}" for number in range(8)]
            assert sum(pool.map(lambda word: wins(word, IfNoneMatch="*"), words)) == 1
            etag = s3.head_object(Bucket="checked", Key="lock")["ETag"]
            assert sum(pool.map(lambda word, at=etag: wins(f"again {word}", IfMatch=at), words)) == 1
            assert not wins("late", IfMatch=etag)
            s3.delete_object(Bucket="checked", Key="lock")
