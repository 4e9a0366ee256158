"""The same weights are the same bytes, under a key that they name, sent once."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ReleaseError
from pipeline.publishing.weights import sync_weights
from pipeline.release import Image, Release, Weights, make_release
from pipeline.release_store.archives import archive, only_folder
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run

GOLDEN = '{"cases": [{"instance": [1, 2], "prediction": {"label": 7}}]}'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "examples").mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "golden.json").write_text(GOLDEN)
    (directory / "examples" / "request.json").write_text("{}")
    return directory


def archived(directory: Path) -> bytes:
    target = io.BytesIO()
    archive(directory, target)
    return target.getvalue()


def release_with(weights: Weights) -> Release:
    image = Image(uri="digits", digest=f"sha256:{'a' * 64}", tag="a" * 40, is_source_hash=False)
    return make_release(image, weights, commit=None, dirty=False, run_url=None)


def test_an_archive_depends_on_content_alone(model: Path) -> None:
    """Not on times, modes or the order of the directory: a fresh checkout makes no new release."""
    before = archived(model)
    os.utime(model / "model.safetensors", (1, 1))
    (model / "golden.json").chmod(0o600)
    (model / "golden.json").rename(model / "moved")
    (model / "moved").rename(model / "golden.json")

    assert archived(model) == before


def test_an_archive_tells_neither_when_nor_where_it_was_made(model: Path) -> None:
    """Gzip's header holds no time (bytes 4 to 7) and no file name (flags, byte 3)."""
    assert archived(model)[3:8] == bytes(5)


def test_a_changed_file_of_the_same_size_is_another_archive(model: Path) -> None:
    before = archived(model)
    (model / "model.safetensors").write_bytes(b"WEIGHTS")

    assert archived(model) != before


def test_an_archive_holds_plain_files_that_belong_to_nobody(model: Path) -> None:
    """SageMaker refuses links; what a link names is packed instead."""
    (model / "again.json").symlink_to(model / "golden.json")
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "inference.pyc").write_bytes(b"")
    with tarfile.open(fileobj=io.BytesIO(archived(model))) as tar:
        members = tar.getmembers()

    names = ["again.json", "examples/request.json", "golden.json", "model.safetensors"]
    assert [member.name for member in members] == names
    assert all(member.isfile() and member.uid == member.mtime == 0 and not member.uname for member in members)


def test_weights_go_to_the_key_that_they_name_with_their_checksum(account: Run, model: Path) -> None:
    weights = sync_weights(str(model), account.aws).weights
    packed = archived(model)
    head = account.aws.read(
        "s3", "head_object", Bucket=account.env.aws.bucket, Key=f"weights/{weights.sha256}/model.tar.gz",
        ChecksumMode="ENABLED",
    )  # fmt: skip

    assert (weights.sha256, weights.bytes) == (hashlib.sha256(packed).hexdigest(), len(packed))
    assert head["ContentLength"] == len(packed)
    assert "ChecksumSHA256" in head


def test_unchanged_weights_upload_nothing(account: Run, model: Path) -> None:
    first = sync_weights(str(model), account.aws)
    account.aws.made.clear()

    assert sync_weights(str(model), account.aws) == first
    assert account.aws.made == []


def test_a_fresh_checkout_is_neither_packed_nor_sent(
    account: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New timestamps, the same content: known by its fingerprint."""
    first = sync_weights(str(model), account.aws)
    account.aws.made.clear()
    os.utime(model / "model.safetensors", (1, 1))
    monkeypatch.setattr("pipeline.publishing.weights.archive", None)

    assert sync_weights(str(model), account.aws) == first
    assert account.aws.made == []


def test_a_same_size_edit_is_sent(account: Run, model: Path) -> None:
    first = sync_weights(str(model), account.aws)
    before = (model / "model.safetensors").stat()
    (model / "model.safetensors").write_bytes(b"WEIGHTS")
    os.utime(model / "model.safetensors", (before.st_atime, before.st_mtime))

    assert sync_weights(str(model), account.aws).weights.sha256 != first.weights.sha256


def test_a_release_knows_what_training_measured(account: Run, model: Path) -> None:
    (model / "metrics.json").write_text('{"accuracy": 0.99, "hyperparameters": {"epochs": 2}}')

    assert sync_weights(str(model), account.aws).weights.metrics == {"accuracy": 0.99}


def test_a_broken_object_at_the_key_is_named_and_not_replaced(account: Run, model: Path) -> None:
    """A key alone proves nothing; the checksum does. Whoever publishes may replace no weights."""
    weights = sync_weights(str(model), account.aws).weights
    bucket, _, key = weights.uri.removeprefix("s3://").partition("/")
    account.aws.read("s3", "put_object", Bucket=bucket, Key=key, Body=b"torn")
    account.aws.made.clear()
    with pytest.raises(ReleaseError, match="is not what was sent") as caught:
        sync_weights(str(model), account.aws)

    assert "have an administrator delete it" in caught.value.fix
    assert account.aws.made == []


def test_an_archive_or_an_object_gives_the_same_weights_as_its_directory(
    account: Run, model: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.tar.gz"
    packed.write_bytes(archived(model))
    account.aws.read(
        "s3", "put_object", Bucket=account.env.aws.bucket, Key="in/model.tar.gz", Body=packed.read_bytes()
    )
    from_directory, from_file, from_s3 = (
        sync_weights(source, account.aws)
        for source in (str(model), str(packed), f"s3://{account.env.aws.bucket}/in/model.tar.gz")
    )

    assert from_directory == from_file == from_s3


@pytest.mark.parametrize("source", ["nowhere", "s3://digits-releases-123456789012/none", "training-job/none"])
def test_weights_that_are_not_there_are_an_error_that_names_them(account: Run, source: str) -> None:
    with pytest.raises((ConfigError, ReleaseError), match=source.rpartition("/")[2]):
        sync_weights(source, account.aws)


def test_weights_whose_golden_set_will_not_do_are_not_sent(account: Run, model: Path) -> None:
    """Neither the first time, nor when they are known."""

    def refuse(found: object) -> None:
        raise ReleaseError(f"not {found}", fix="none")

    (model / "golden.json").unlink()
    with pytest.raises(ReleaseError, match="not None"):
        sync_weights(str(model), account.aws, accept=refuse)
    assert account.aws.made == []
    sync_weights(str(model), account.aws)
    with pytest.raises(ReleaseError, match="not None"):
        sync_weights(str(model), account.aws, accept=refuse)


def test_golden_answers_come_from_the_releases_own_archive(account: Run, model: Path, tmp_path: Path) -> None:
    release = release_with(sync_weights(str(model), account.aws).weights)
    golden = fetch_golden(release, account)

    assert golden.read_text() == GOLDEN


def test_an_archive_that_was_replaced_is_not_used(account: Run, model: Path, tmp_path: Path) -> None:
    release = release_with(sync_weights(str(model), account.aws).weights)
    bucket, _, key = release.weights.uri.removeprefix("s3://").partition("/")
    account.aws.read("s3", "put_object", Bucket=bucket, Key=key, Body=b"another")

    with pytest.raises(ReleaseError, match="differs from the weights"):
        fetch_golden(release, account)


@pytest.mark.parametrize("file", ["model.pt", "code/inference.py"])
@pytest.mark.parametrize("lead", ["", "./"])
def test_files_at_the_top_and_a_program_alone_are_where_they_belong(
    tmp_path: Path, file: str, lead: str
) -> None:
    assert only_folder(tarball(tmp_path, f"{lead}{file}"), "it") is None
    assert only_folder(tarball(tmp_path, f"{lead}deep/a", f"{lead}{file}"), "it") is None


@pytest.mark.parametrize("names", [["m/model.pt"], ["./m/code/inference.py", "./m/a/b"], ["m/a", "._m"]])
def test_a_folder_that_everything_lies_in_is_found(tmp_path: Path, names: list[str]) -> None:
    assert only_folder(tarball(tmp_path, *names), "it") == "m"


def tarball(folder: Path, *names: str) -> Path:
    packed = folder / "packed.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return packed


@pytest.mark.starts_processes
def test_an_archive_within_a_folder_is_refused_with_the_line_that_repacks_it(
    account: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "mine.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(model, arcname="my-model")
    with pytest.raises(ReleaseError, match="lies in its folder my-model/") as caught:
        sync_weights(str(packed), account.aws)
    assert account.aws.made == []
    monkeypatch.chdir(tmp_path)
    subprocess.run(caught.value.fix.removeprefix("Repack it: "), shell=True, check=True)

    assert sync_weights("model.tar.gz", account.aws).golden == sync_weights(str(model), account.aws).golden


def test_a_directory_within_a_directory_is_refused_with_its_name(account: Run, model: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        sync_weights(str(nested(model)), account.aws)

    assert caught.value.fix == f"Repack it: name {model.parent / 'outer' / 'inner'} as the weights"


def nested(model: Path) -> Path:
    outer = model.parent / "outer"
    outer.mkdir()
    model.rename(outer / "inner")
    return outer
