"""Large weights travel in parts, each with its checksum; what has arrived is not sent again."""

import base64
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.aws import AwsClient
from pipeline.errors import ReleaseError
from pipeline.publishing import digests as sizes
from pipeline.publishing.digests import checksum_of, cut, digests_of, fingerprint, is_same
from pipeline.publishing.upload import Upload, is_there, missing_parts
from pipeline.publishing.upload_progress import upload_progress
from pipeline.run import Run

MIB = 1024**2
WHERE = {"Bucket": "digits-releases-123456789012", "Key": "weights/large"}


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a file of three parts, where a part is as small as S3 allows."""
    monkeypatch.setattr(sizes, "PART_BYTES", 5 * MIB)
    path = tmp_path / "large"
    path.write_bytes(b"a" * 5 * MIB + b"b" * 5 * MIB + b"c" * MIB)
    return path


class Watched:
    """The AWS client, with a list of what went through it; a call can be made to fail."""

    def __init__(self, aws: AwsClient, *, fails_at: int | None = None, torn: bool = False) -> None:
        self.aws, self.fails_at, self.torn = aws, fails_at, torn
        self.parts: list[int] = []

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == "upload_part":
            if params["PartNumber"] == self.fails_at:
                raise ConnectionError("the network is gone")
            self.parts.append(params["PartNumber"])
        return self.aws.read(service, operation, **params)

    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None:
        found = self.aws.find(service, operation, **params)
        return {**found, "ContentLength": 1} if found and self.torn else found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.aws, name)


def test_the_checksum_of_parts_is_the_one_that_s3_computes(account: Run, large: Path) -> None:
    """S3's own answer decides, not our reading of its documentation."""
    sent: list[int] = []
    digests = digests_of(large)
    Upload(large, WHERE, digests, account.aws, "upload").send(sent.append)
    head = account.aws.read("s3", "head_object", **WHERE, ChecksumMode="ENABLED")
    body = account.aws.read("s3", "get_object", **WHERE)["Body"].read()

    assert is_same(head["ChecksumSHA256"], digests.checksum)
    assert digests.checksum.endswith("-3")
    assert hashlib.sha256(body).hexdigest() == digests.sha256
    assert sum(sent) == digests.size
    assert account.aws.made == ["upload"]


def test_an_interrupted_upload_goes_on_where_it_stopped(account: Run, large: Path) -> None:
    broken, second = Watched(account.aws, fails_at=3), Watched(account.aws)
    digests = digests_of(large)
    with pytest.raises(ConnectionError):
        Upload(large, WHERE, digests, broken, "upload").send()
    Upload(large, WHERE, digests, second, "upload").send()
    begun = account.aws.read("s3", "list_multipart_uploads", Bucket=WHERE["Bucket"])

    assert 3 in second.parts
    assert "Uploads" not in begun, "the second run has used the first one's upload"


def test_parts_that_s3_has_by_their_checksum_are_not_sent_again() -> None:
    parts = cut(3 * sizes.PART_BYTES)
    wanted = [hashlib.sha256(bytes([part.number])).digest() for part in parts]
    listed = [
        {"PartNumber": 1, "ChecksumSHA256": base64.b64encode(wanted[0]).decode()},
        {"PartNumber": 2, "ChecksumSHA256": base64.b64encode(wanted[0]).decode()},
    ]

    assert [part.number for part in missing_parts(parts, wanted, listed)] == [2, 3]
    assert [part.number for part in missing_parts(parts, wanted, [])] == [1, 2, 3]


def test_an_upload_that_arrived_as_something_else_is_an_error(account: Run, large: Path) -> None:
    with pytest.raises(ReleaseError, match="is not what was sent"):
        Upload(large, WHERE, digests_of(large), Watched(account.aws, torn=True), "upload").send()


def test_a_key_alone_proves_nothing(account: Run) -> None:
    account.aws.read("s3", "put_object", **WHERE, Body=b"abc", ChecksumAlgorithm="SHA256")
    digest = hashlib.sha256(b"abc").digest()

    assert is_there(WHERE, checksum_of([digest]), 3, account.aws)
    assert not is_there(WHERE, checksum_of([hashlib.sha256(b"abd").digest()]), 3, account.aws)
    assert not is_there({**WHERE, "Key": "none"}, checksum_of([digest]), 3, account.aws)


@pytest.mark.parametrize("size", [0, 1, sizes.PART_BYTES, sizes.PART_BYTES + 1, 400 * 1024**3])
def test_parts_cover_the_file_within_the_limits_of_s3(size: int) -> None:
    parts = cut(size)

    assert sum(part.size for part in parts) == size
    assert len(parts) <= sizes.MOST_PARTS
    assert all(before.start + before.size == after.start for before, after in itertools.pairwise(parts))


def test_a_fingerprint_is_of_names_and_contents_alone(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x" * 100)
    two.write_bytes(b"y" * 100)
    before = fingerprint([("one", one), ("two", two)])
    one.touch()

    assert fingerprint([("one", one), ("two", two)]) == before
    assert fingerprint([("one", two), ("two", one)]) != before
    assert fingerprint([("other", one), ("two", two)]) != before
    one.write_bytes(b"z" * 100)
    assert fingerprint([("one", one), ("two", two)]) != before, "a same-size edit is another content"


def test_progress_is_said_in_tenths_where_there_is_no_terminal(said: Callable[[], list[str]]) -> None:
    total = 100 * MIB
    with upload_progress("weights", total) as sent:
        for _ in range(100):
            sent(MIB)

    assert len(said()) == 10
    assert said()[-1] == f"  weights: 100 % of {total:,} bytes"


def test_a_small_upload_says_nothing_of_its_progress(said: Callable[[], list[str]]) -> None:
    with upload_progress("weights", MIB) as sent:
        sent(MIB)

    assert said() == []
