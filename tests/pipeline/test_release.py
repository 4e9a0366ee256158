"""A release is named by its content, and nothing else passes for one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.release import Release, load_release, release_id

MakeRelease = Callable[..., Release]


def test_the_id_names_image_and_weights(release: Release) -> None:
    assert release.id == release_id(release.image, release.weights) == "a" * 12 + "-" + "a" * 8


def test_a_saved_release_loads_as_the_same(release: Release, tmp_path: Path) -> None:
    release.save(tmp_path / "release.json")

    assert load_release(tmp_path / "release.json") == release
    assert '"schema": 1' in (tmp_path / "release.json").read_text()


def test_an_edited_manifest_is_refused(make_test_release: MakeRelease, tmp_path: Path) -> None:
    """The id is the content's; another image under the old id is another release."""
    one, other = make_test_release("a"), make_test_release("b")
    one.model_copy(update={"image": other.image}).save(tmp_path / "release.json")

    with pytest.raises(ReleaseError, match=f"says id {one.id}, but its image and weights make bbbbbbbbbbbb"):
        load_release(tmp_path / "release.json")


def test_a_missing_manifest_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="pipeline publish"):
        load_release(tmp_path / "release.json")


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text('{"schema": 2}')

    with pytest.raises(ReleaseError, match="not a release manifest"):
        load_release(tmp_path / "release.json")
