"""A release is judged by one golden set: of its archive or of a file, recorded, stored by its content, never replaced."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from pipeline.errors import ReleaseError
from pipeline.publishing.model_registry import package_of
from pipeline.publishing.publish import publish
from pipeline.release import Release, load_release
from pipeline.release_store.golden import fetch_golden, read_golden, why_not_compared
from pipeline.release_store.manifests import fetch_release, release_key
from pipeline.run import Run
from tests.pipeline.scene import ROOT

pytestmark = pytest.mark.starts_processes  # publish asks git, and container/build for its labels

CSV = Case(
    Request(b"1,2\n", "text/csv", accept="text/csv"),
    Expected(b"3\n", "text/csv", comparison=Comparison("text")),
)
PNG = Case(
    Request(b"\x89PNG\r\n\xff", "image/png"),
    Expected(b"\x93\xfe", "application/octet-stream", comparison=Comparison("bytes")),
)
BY_SHAPE = Case(Request(b"{}"), Expected(b'{"at": 1}', "application/json", comparison=Comparison("shape")))
Said = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Make a foreign model: weights and a program, no metrics, no engines, no golden set."""
    directory = tmp_path / "model"
    (directory / "code").mkdir(parents=True)
    (directory / "code" / "inference.py").write_text("def predict_fn(data, model): ...\n")
    (directory / "model.pt").write_bytes(b"weights")
    return directory


def set_of(folder: Path, *cases: Case, name: str = "golden.jsonl") -> str:
    golden.write(cases, folder / name)
    return str(folder / name)


def published(run: Run, model: Path, **options: object) -> Release:
    return publish(run, weights=str(model), engine=False, **options)  # type: ignore[arg-type]


def test_the_set_of_an_archive_is_recorded_with_its_media_types(account: Run, model: Path) -> None:
    path = set_of(model, CSV, PNG)
    release = published(account, model)

    assert release.golden is not None
    assert release.golden.sha256 == golden.read(Path(path)).digest
    assert (release.golden.uri, release.golden.cases) == (None, 2)
    assert release.golden.takes == ("image/png", "text/csv")
    assert fetch_golden(release, account).read_bytes() == Path(path).read_bytes()
    package = package_of(release.id, account.aws)
    assert package is not None
    described = account.aws.read(
        "sagemaker", "describe_model_package", ModelPackageName=package["ModelPackageArn"]
    )
    assert described["InferenceSpecification"]["SupportedContentTypes"] == ["image/png", "text/csv"]


@pytest.mark.parametrize("is_in_config", [True, False])
def test_the_set_of_a_file_is_stored_by_its_content_and_is_no_part_of_the_id(
    account: Run, model: Path, tmp_path: Path, *, is_in_config: bool
) -> None:
    path = set_of(tmp_path, CSV)
    run = replace(account, env=account.env.model_copy(update={"golden": path})) if is_in_config else account
    release = published(run, model, golden=None if is_in_config else path)
    digest = golden.read(Path(path)).digest

    assert release.golden is not None
    assert release.golden.uri == f"s3://{account.env.aws.bucket}/golden/{digest}.jsonl"
    assert release.id.endswith(release.weights.sha256[:8])
    assert release == load_release(account.build / "release.json") == fetch_release(release.id, account.aws)
    found = read_golden(release, replace(account, build=tmp_path / "elsewhere"))
    assert found is not None
    assert found.cases == (CSV,)
    account.aws.made.clear()
    assert published(run, model, golden=path) == release
    assert account.aws.made == []


def test_a_file_goes_before_the_set_in_the_archive(account: Run, model: Path, tmp_path: Path) -> None:
    set_of(model, CSV)
    release = published(account, model, golden=set_of(tmp_path, PNG))

    assert release.golden is not None
    assert release.golden.takes == ("image/png",)


def test_without_a_set_publish_stops_with_the_two_commands_and_sends_nothing(
    account: Run, model: Path
) -> None:
    with pytest.raises(ReleaseError, match="has no golden set") as caught:
        published(account, model)

    assert f"python -m golden record {model} REQUEST… --out golden.jsonl" in caught.value.fix
    assert "python -m pipeline publish --env staging --golden golden.jsonl" in caught.value.fix
    assert account.aws.made == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", r"golden\.jsonl:1 is no JSON"),
        ("\n", "has no cases"),
        ('{"request": {"body": {"text": "x"}}, "answer": {"status": 400}}', "every case is an error"),
    ],
)
@pytest.mark.parametrize("is_in_archive", [True, False])
def test_a_set_that_cannot_be_used_is_refused_with_its_fix(
    account: Run, model: Path, tmp_path: Path, content: str, what: str, *, is_in_archive: bool
) -> None:
    path = (model if is_in_archive else tmp_path) / "golden.jsonl"
    path.write_text(content)

    with pytest.raises(ReleaseError, match=what.replace(r":1 is", ".*:1 is")) as caught:
        published(account, model, golden=None if is_in_archive else str(path))
    assert "python -m golden record" in caught.value.fix
    assert account.aws.made == []


def test_a_file_that_is_not_there_is_named(account: Run, model: Path) -> None:
    with pytest.raises(ReleaseError, match=r"nowhere\.jsonl cannot be read"):
        published(account, model, golden="nowhere.jsonl")


def test_a_release_keeps_the_set_that_it_was_published_with(
    account: Run, model: Path, tmp_path: Path
) -> None:
    first = published(account, model, golden=set_of(tmp_path, CSV))

    with pytest.raises(ReleaseError, match="was published with golden set") as caught:
        published(account, model, golden=set_of(tmp_path, PNG, name="other.jsonl"))
    assert "makes another release" in caught.value.fix
    assert fetch_release(first.id, account.aws) == first


def test_a_release_without_a_record_has_the_set_of_its_archive(
    account: Run, model: Path, tmp_path: Path
) -> None:
    """As an earlier version of the pipeline has published it."""
    path = set_of(model, CSV)
    release = published(account, model)
    document = release.document()
    del document["golden"], document["unchecked"]
    account.aws.put_json(release_key(release.id), document)
    old = fetch_release(release.id, account.aws)

    assert old is not None
    assert old.golden is None
    assert not old.unchecked
    assert fetch_golden(old, account).read_bytes() == Path(path).read_bytes()
    assert published(account, model) == old
    with pytest.raises(ReleaseError, match="in its archive"):
        published(account, model, golden=set_of(tmp_path, PNG))


def test_a_release_without_a_set_is_unchecked_and_says_so(account: Run, model: Path, said: Said) -> None:
    release = published(account, model, unchecked=True)

    assert release.unchecked
    assert release.golden is None
    assert json.loads((account.build / "release.json").read_text())["unchecked"] is True
    assert any(line.startswith("UNCHECKED") and "--golden" in line for line in said())
    assert read_golden(release, account) is None
    with pytest.raises(ReleaseError, match="UNCHECKED"):
        fetch_golden(release, account)


def test_an_unchecked_release_gets_its_set_once(account: Run, model: Path, tmp_path: Path) -> None:
    unchecked = published(account, model, unchecked=True)
    path = set_of(tmp_path, CSV)
    checked = published(account, model, golden=path)

    assert (checked.id, checked.unchecked) == (unchecked.id, False)
    assert checked == fetch_release(unchecked.id, account.aws) == load_release(account.build / "release.json")
    assert published(account, model, unchecked=True) == checked, "it stays"
    with pytest.raises(ReleaseError, match="was published with golden set"):
        published(account, model, golden=set_of(tmp_path, PNG, name="other.jsonl"))


def test_a_set_that_exists_is_used_although_unchecked_would_do(account: Run, model: Path) -> None:
    set_of(model, CSV)

    assert not published(account, model, unchecked=True).unchecked


@pytest.mark.parametrize("where", ["bucket", "build"])
def test_a_set_that_was_changed_since_is_not_used(
    account: Run, model: Path, tmp_path: Path, where: str
) -> None:
    release = published(account, model, golden=set_of(tmp_path, CSV))
    assert release.golden is not None
    assert release.golden.uri is not None
    fetched = fetch_golden(release, account)
    right = fetched.read_bytes()
    fetched.write_bytes(b"torn")
    if where == "build":
        assert fetch_golden(release, account).read_bytes() == right, "it is fetched again"
        return
    bucket, _, key = release.golden.uri.removeprefix("s3://").partition("/")
    account.aws.read("s3", "put_object", Bucket=bucket, Key=key, Body=b"another")
    with pytest.raises(ReleaseError, match="differs from the golden set"):
        fetch_golden(release, account)


def test_a_set_that_is_compared_by_shape_says_so_when_it_is_published(
    account: Run, model: Path, said: Said
) -> None:
    set_of(model, CSV, BY_SHAPE)
    release = published(account, model)

    assert release.notes == ("1 of 2 golden cases are compared by shape alone, in part or whole",)
    assert release.notes[0] in said()


def test_releases_are_compared_only_by_the_same_requests(account: Run, model: Path, tmp_path: Path) -> None:
    def another(mark: str, *cases: Case) -> Release:
        (model / "model.pt").write_text(mark)
        chosen = set_of(tmp_path, *cases) if cases else None
        return published(account, model, golden=chosen, unchecked=True)

    first, same = another("first", CSV), another("same", replace(CSV, expected=Expected(b"4\n")))
    other, unchecked = another("other", CSV, PNG), another("unchecked")

    assert why_not_compared(first, first.id, account) is None
    assert why_not_compared(first, same.id, account) is None
    assert (
        why_not_compared(other, first.id, account) == f"not compared with {first.id}: other golden requests"
    )
    assert "UNCHECKED" in str(why_not_compared(first, unchecked.id, account))
    with pytest.raises(ReleaseError, match="There is no release"):
        why_not_compared(first, "0" * 12 + "-" + "0" * 8, account)
