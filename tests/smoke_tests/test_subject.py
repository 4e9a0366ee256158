"""The golden set and API description that the suite finds by itself: in the model archive, or with the release."""

import io
import json
import tarfile
from collections.abc import Iterator

import pytest

import golden
import local_aws
from smoke_tests.openapi import DOCUMENT, digest, read_openapi
from smoke_tests.subject import Subject, subject_of
from tests.smoke_tests.conftest import BUCKET
from tests.smoke_tests.programs import text_case

pytestmark = pytest.mark.starts_processes

URI = f"s3://{BUCKET}/of-tests/model.tar.gz"
GOLDEN = golden.serialize([text_case("a b")])
OTHER = golden.serialize([text_case("a b"), text_case("c")])


@pytest.fixture(autouse=True)
def _environment(aws: local_aws.Running) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environ.items():
            patch.setenv(name, value)
        yield


def put(aws: local_aws.Running, key: str, content: bytes) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def put_archive(aws: local_aws.Running, **files: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name.replace('_', '.')}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    put(aws, "of-tests/model.tar.gz", packed.getvalue())


def found(release: str = "") -> Subject:
    return subject_of({"ModelDataUrl": URI, "Environment": {"RELEASE_ID": release}}, None)


def engines(request_response: str) -> bytes:
    return json.dumps({"request_response": request_response}).encode()


def test_the_newer_golden_set_of_an_archive_is_taken(aws: local_aws.Running) -> None:
    put_archive(aws, golden_json=b'{"cases": [{"instance": [1]}]}', golden_jsonl=OTHER, weights=b"1")

    assert found().golden_set == golden.parse(OTHER, "")


def test_an_archive_for_this_projects_api_names_its_description(aws: local_aws.Running) -> None:
    api = read_openapi(DOCUMENT)
    put_archive(aws, engines_json=engines(digest(api.document)), golden_jsonl=GOLDEN)

    assert found().api == api
    assert found().why_no_api == ""


def test_an_archive_for_another_api_has_none_and_says_which(aws: local_aws.Running) -> None:
    put_archive(aws, engines_json=engines("beef"), golden_jsonl=GOLDEN)

    assert found().api is None
    assert found().note == "no API description: the model is for beef, openapi.json here is another"


def test_an_archive_without_a_record_has_no_api(aws: local_aws.Running) -> None:
    put_archive(aws, golden_jsonl=GOLDEN)

    assert found().api is None
    assert found().note == "no API description: the model archive names none"


@pytest.mark.parametrize("added_later", [False, True])
def test_without_one_in_the_archive_it_is_the_golden_set_stored_with_the_release(
    aws: local_aws.Running, added_later: bool
) -> None:
    release, record = f"release-{added_later}", {"uri": f"s3://{BUCKET}/golden/other.jsonl"}
    put_archive(aws, weights=b"1")
    put(aws, "golden/other.jsonl", OTHER)
    manifest = {"unchecked": True} if added_later else {"golden": record}
    put(aws, f"releases/{release}/release.json", json.dumps(manifest).encode())
    if added_later:
        put(aws, f"releases/{release}/golden.json", json.dumps(record).encode())

    assert found(release).golden_set == golden.parse(OTHER, "")


@pytest.mark.parametrize("release", ["", "unknown", "unchecked"])
def test_without_any_golden_set_the_error_says_how_to_name_one(aws: local_aws.Running, release: str) -> None:
    put_archive(aws, weights=b"1")
    put(aws, "releases/unchecked/release.json", b'{"golden": null, "unchecked": true}')

    with pytest.raises(LookupError, match="--golden FILE"):
        found(release)


def test_a_model_without_an_archive_is_refused() -> None:
    with pytest.raises(LookupError, match="no model archive"):
        subject_of({}, None)
