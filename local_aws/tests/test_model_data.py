"""Model data: what SageMaker accepts is unpacked, what it refuses is refused with a sentence."""

import gzip
import io
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from local_aws.instances.model_data import ModelData, ModelDataError, fetch, split_uri

URI = "s3://weights/model.tar.gz"


class Bucket:
    """S3 as model data sees it: the objects of one bucket in a dictionary."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {("weights", key): content for key, content in objects.items()}

    def read(self, bucket: str, key: str) -> bytes:
        return self.objects[bucket, key]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return [key for owner, key in self.objects if owner == bucket and key.startswith(prefix)]


def archive(*members: tarfile.TarInfo, **files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return gzip.compress(target.getvalue(), mtime=0)  # the same bytes, and so the same test, each time


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def source(uri: str, data_type: str, compression: str) -> dict[str, Any]:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": data_type, "CompressionType": compression}}


def test_an_archive_is_unpacked_with_its_folders_and_nobody_may_write(tmp_path: Path) -> None:
    packed = archive(member("./code", tarfile.DIRTYPE), **{"./model.bin": b"1", "./code/inference.py": b"2"})
    path = ModelData(tmp_path / "models").unpack(URI, Bucket(**{"model.tar.gz": packed}))

    assert (path / "model.bin").read_bytes() == b"1"
    assert (path / "code" / "inference.py").read_bytes() == b"2"
    assert stat.S_IMODE((path / "model.bin").stat().st_mode) == 0o444
    assert stat.S_IMODE((path / "code").stat().st_mode) == 0o555


def test_the_same_content_is_unpacked_once_wherever_it_lies(tmp_path: Path) -> None:
    """Two archives that differ in time and name, but not in what is in them."""
    models = ModelData(tmp_path / "models")
    late = tarfile.TarInfo("model.bin")
    late.size, late.mtime = 1, 10**9
    second = io.BytesIO()
    with tarfile.open(fileobj=second, mode="w:gz") as tar:
        tar.addfile(late, io.BytesIO(b"1"))
    bucket = Bucket(**{"a.tar.gz": archive(**{"model.bin": b"1"}), "b.tar.gz": second.getvalue()})

    first, again = (models.unpack(f"s3://weights/{name}.tar.gz", bucket) for name in "ab")

    assert first == again


def test_other_content_is_another_directory(tmp_path: Path) -> None:
    models = ModelData(tmp_path / "models")
    bucket = Bucket(**{"a.tar.gz": archive(m=b"1"), "b.tar.gz": archive(m=b"2")})

    assert models.unpack("s3://weights/a.tar.gz", bucket) != models.unpack("s3://weights/b.tar.gz", bucket)


def test_removing_takes_read_only_directories_too(tmp_path: Path) -> None:
    models = ModelData(tmp_path / "models")
    models.unpack(URI, Bucket(**{"model.tar.gz": archive(**{"code/inference.py": b"2"})}))
    models.remove()

    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (archive(member("model.pth", tarfile.SYMTYPE, "/etc/passwd")), "link"),
        (archive(member("model.pth", tarfile.LNKTYPE, "other")), "link"),
        (archive(member("disk", tarfile.BLKTYPE)), "device"),
        (archive(**{"../model.pth": b"1"}), "outside"),
        (archive(**{"/etc/model.pth": b"1"}), "outside"),
        (archive(**{"a/../../model.pth": b"1"}), "outside"),
        (archive(), "no file"),
        (b"not an archive", "is a valid tar.gz archive"),
        (archive(m=b"1" * 10000)[:60], "is a valid tar.gz archive"),
    ],
)
def test_an_archive_sagemaker_would_refuse_is_refused(tmp_path: Path, packed: bytes, said: str) -> None:
    with pytest.raises(ModelDataError, match=said):
        ModelData(tmp_path).unpack(URI, Bucket(**{"model.tar.gz": packed}))

    assert not list(tmp_path.iterdir())


def test_an_object_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelDataError, match=URI):
        fetch(URI, Bucket())


def test_a_prefix_is_a_tree_below_the_model_directory() -> None:
    bucket = Bucket(**{"m/a.bin": b"1", "m/code/inference.py": b"2", "other": b"3"})

    assert fetch(source("s3://weights/m/", "S3Prefix", "None"), bucket) == {
        "a.bin": b"1",
        "code/inference.py": b"2",
    }


def test_a_single_object_keeps_the_last_part_of_its_key() -> None:
    found = fetch(source("s3://weights/m/a.bin", "S3Object", "None"), Bucket(**{"m/a.bin": b"1"}))

    assert found == {"a.bin": b"1"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["m/"], '"folder" object'),
        (["m/code/", "m/code/inference.py"], '"folder" object'),
        (["m//a"], '"folder" object'),
        (["m/../a"], '"folder" object'),
        (["m/" + "x" * 256], "255 bytes"),
        (["m/a", "m/a/b"], "file and a directory"),
        ([], "no object"),
    ],
)
def test_keys_that_cannot_be_files_fail_the_deployment(keys: list[str], said: str) -> None:
    with pytest.raises(ModelDataError, match=said):
        fetch(source("s3://weights/m/", "S3Prefix", "None"), Bucket(**dict.fromkeys(keys, b"")))


def test_a_prefix_ends_with_a_slash() -> None:
    with pytest.raises(ModelDataError, match='must end with "/"'):
        fetch(source("s3://weights/m", "S3Prefix", "None"), Bucket(**{"m/a": b"1"}))


def test_a_prefix_cannot_be_compressed() -> None:
    with pytest.raises(ModelDataError, match="S3Prefix with CompressionType Gzip"):
        fetch(source("s3://weights/m/", "S3Prefix", "Gzip"), Bucket())


def test_what_is_not_imitated_of_a_data_source_is_said() -> None:
    data = source("s3://weights/m/", "S3Prefix", "None")
    data["S3DataSource"]["HubAccessConfig"] = {}

    with pytest.raises(ModelDataError, match="HubAccessConfig is not imitated"):
        fetch(data, Bucket())


@pytest.mark.parametrize("uri", ["s3://b/k/x.tar.gz", "https://s3.eu-west-1.amazonaws.com/b/k/x.tar.gz"])
def test_both_forms_of_an_s3_address_are_read(uri: str) -> None:
    assert split_uri(uri) == ("b", "k/x.tar.gz")


@pytest.mark.parametrize(
    "uri", ["", "b/k", "s3://b", "s3:///k", "file:///etc/passwd", "https://example.com/b/k"]
)
def test_what_is_no_s3_address_is_refused(uri: str) -> None:
    with pytest.raises(ModelDataError, match="s3://BUCKET/KEY"):
        split_uri(uri)
