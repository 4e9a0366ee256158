"""ECR's answers without an engine: from a storage laid out as the registry lays it out, and from none."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.ecr.models import ecr_backends

from local_aws.errors import AwsError
from local_aws.faults import Faults
from local_aws.registry import Ecr, Registry
from local_aws.registry.backends import configuration
from local_aws.registry.ecr import moto_may
from local_aws.registry.repositories import Repositories
from local_aws.registry.store import ImageStore
from local_aws.settings import ACCOUNT_ID, REGION
from testbed.registry_storage import NAME, Storage, image
from testbed.tiny_instances import process_settings

Ask = Callable[..., dict[str, Any]]
"""One operation of ECR by its name, and its request."""


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "cache" / "registry")


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def ask(tmp_path: Path, faults: Faults) -> Iterator[Ask]:
    """Ask ECR about a repository that exists, as if its registry ran."""
    registry = Registry(process_settings(tmp_path))
    ecr = Ecr(registry, "http://127.0.0.1:4566", faults)
    registry.url = "http://127.0.0.1:1"
    backend = ecr_backends[ACCOUNT_ID][REGION]
    backend.create_repository(NAME, None, None, None, "IMMUTABLE", [], None)
    yield lambda action, **request: asyncio.run(ecr.handle(action, {"repositoryName": NAME, **request}))
    backend.repositories.pop(NAME)


def test_an_image_is_described_by_what_the_registry_keeps_of_it(storage: Storage, ask: Ask) -> None:
    digest = storage.push(image(100, 20), "v1", "latest", at=1000.5)

    [detail] = ask("DescribeImages")["imageDetails"]

    assert detail == {
        "registryId": ACCOUNT_ID,
        "repositoryName": NAME,
        "imageDigest": digest,
        "imageTags": ["latest", "v1"],
        "imageSizeInBytes": 127,
        "imagePushedAt": 1000.5,
        "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
    }


def test_an_index_is_as_large_as_the_images_it_lists(storage: Storage) -> None:
    parts = [storage.push(image(100), at=1), storage.push(image(200), at=2)]
    storage.push({"schemaVersion": 2, "manifests": [{"digest": part} for part in parts]}, "all", at=3)

    index = ImageStore(storage.v2.parents[2]).images(NAME)[-1]

    assert index.size_bytes == 314
    assert index.media_type == "application/vnd.oci.image.index.v1+json"


def test_an_image_without_a_tag_is_listed_by_its_digest(storage: Storage, ask: Ask) -> None:
    bare = storage.push(image(1), at=1)
    tagged = storage.push(image(2), "v2", at=2)

    assert ask("ListImages")["imageIds"] == [
        {"imageDigest": bare},
        {"imageDigest": tagged, "imageTag": "v2"},
    ]
    assert ask("ListImages", filter={"tagStatus": "UNTAGGED"})["imageIds"] == [{"imageDigest": bare}]
    assert len(ask("DescribeImages", filter={"tagStatus": "TAGGED"})["imageDetails"]) == 1


@pytest.mark.parametrize("image_id", [{"imageTag": "v9"}, {"imageDigest": "sha256:" + "0" * 64}])
def test_an_image_that_is_not_there_is_ecrs_own_error(
    storage: Storage, ask: Ask, image_id: dict[str, str]
) -> None:
    storage.push(image(1), "v1", at=1)

    with pytest.raises(AwsError, match=next(iter(image_id.values()))) as raised:
        ask("DescribeImages", imageIds=[{"imageTag": "v1"}, image_id])

    assert raised.value.code == "ImageNotFoundException"


def test_batch_get_image_tells_each_image_found_and_each_that_was_not(storage: Storage, ask: Ask) -> None:
    first = storage.push(image(1), "v1", at=1)
    second = storage.push(image(2), "v2", at=2)
    wanted = [
        {"imageTag": "v1"},
        {"imageDigest": second},
        {"imageTag": "v9"},
        {"imageTag": "v1", "imageDigest": second},
        {},
    ]

    answer = ask("BatchGetImage", imageIds=wanted)

    assert [one["imageId"] for one in answer["images"]] == [
        {"imageTag": "v1", "imageDigest": first},
        {"imageDigest": second},
    ]
    got = answer["images"][0]["imageManifest"].encode()
    assert f"sha256:{hashlib.sha256(got).hexdigest()}" == first
    assert [one["failureCode"] for one in answer["failures"]] == [
        "ImageNotFound",
        "ImageTagDoesNotMatchDigest",
        "MissingDigestAndTag",
    ]


def test_a_manifest_of_a_kind_that_was_not_asked_for_is_not_given(storage: Storage, ask: Ask) -> None:
    """ECR would convert it, perhaps; that is not imitated."""
    storage.push(image(1), "v1", at=1)
    wanted = {"imageIds": [{"imageTag": "v1"}]}
    docker, oci = (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )

    assert ask("BatchGetImage", **wanted, acceptedMediaTypes=[oci, docker])["images"]
    with pytest.raises(AwsError, match="acceptedMediaTypes") as raised:
        ask("BatchGetImage", **wanted, acceptedMediaTypes=[oci])
    assert raised.value.code == "NotImplementedByLocalAws"


def test_many_images_come_in_pages(storage: Storage, ask: Ask) -> None:
    for number in range(5):
        storage.push(image(number), f"v{number}", at=number)

    first = ask("ListImages", maxResults=3)
    rest = ask("ListImages", maxResults=3, nextToken=first["nextToken"])

    assert [one["imageTag"] for one in (*first["imageIds"], *rest["imageIds"])] == [
        "v0",
        "v1",
        "v2",
        "v3",
        "v4",
    ]
    assert "nextToken" not in rest


@pytest.mark.parametrize("key", ["scanOnPush", "ScanOnPush"])
def test_a_scan_is_complete_and_has_found_what_it_is_told_to_find(
    storage: Storage, ask: Ask, faults: Faults, key: str
) -> None:
    digest = storage.push(image(1), "v1", at=1000.5)
    wanted = {"imageId": {"imageDigest": digest}}
    with pytest.raises(AwsError, match=digest) as raised:
        ask("DescribeImageScanFindings", **wanted)
    ecr_backends[ACCOUNT_ID][REGION].repositories[NAME].image_scanning_configuration = {key: True}
    clean = ask("DescribeImageScanFindings", **wanted)
    faults.switch_on({"kind": "finding", "vulnerability": "CVE-1", "severity": "CRITICAL"})
    found = ask("DescribeImageScanFindings", **wanted)

    assert raised.value.code == "ScanNotFoundException"
    assert clean["imageScanStatus"]["status"] == "COMPLETE"
    assert clean["imageScanFindings"]["findings"] == []
    assert [one["name"] for one in found["imageScanFindings"]["findings"]] == ["CVE-1"]
    assert found["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 1}


@pytest.mark.parametrize("action", ["DescribeImages", "ListImages", "BatchGetImage", "DeleteRepository"])
def test_a_repository_that_is_not_there_is_ecrs_own_error(ask: Ask, action: str) -> None:
    with pytest.raises(AwsError, match="'nobody' does not exist in the registry") as raised:
        ask(action, repositoryName="nobody", imageIds=[])

    assert raised.value.code == "RepositoryNotFoundException"


def test_where_instances_are_processes_no_repository_has_an_image(tmp_path: Path, storage: Storage) -> None:
    """Even if an earlier run with an engine has filled the storage: nothing could pull from it."""
    storage.push(image(1), "v1", at=1)
    registry = Registry(process_settings(tmp_path))
    ecr = Ecr(registry, "http://127.0.0.1:4566")
    backend = ecr_backends[ACCOUNT_ID][REGION]
    backend.create_repository(NAME, None, None, None, "MUTABLE", [], None)

    async def scenario() -> Any:
        await registry.start()
        with pytest.raises(AwsError, match="ImageNotFoundException"):
            await ecr.handle("DescribeImages", {"repositoryName": NAME, "imageIds": [{"imageTag": "v1"}]})
        return await ecr.handle("DescribeImages", {"repositoryName": NAME})

    try:
        assert asyncio.run(scenario()) == {"imageDetails": []}
    finally:
        backend.repositories.pop(NAME)


def test_the_login_names_the_front_door(ask: Ask) -> None:
    [data] = ask("GetAuthorizationToken")["authorizationData"]

    assert data["proxyEndpoint"] == "http://127.0.0.1:4566"


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "UPPER"])
def test_a_name_that_is_no_repository_reads_nothing_even_if_something_is_there(
    storage: Storage, name: str
) -> None:
    storage.push(image(1), "v1", at=1, repository=name)

    assert ImageStore(storage.v2.parents[2]).images(name) == []


@pytest.mark.parametrize(
    ("mutability", "filters", "tag", "immutable"),
    [
        ("MUTABLE", [], "v1", False),
        ("IMMUTABLE", [], "v1", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev*"], "v1", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev*"], "dev-7", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["a*c*"], "abcd", False),
        ("MUTABLE_WITH_EXCLUSION", ["release-*"], "release-7", True),
        ("MUTABLE_WITH_EXCLUSION", ["release-*"], "dev", False),
    ],
)
def test_which_tags_keep_their_image_is_the_repositorys_own_rule(
    mutability: str, filters: Any, tag: str, immutable: bool
) -> None:
    repositories = Repositories("127.0.0.1:4566")
    backend = ecr_backends[ACCOUNT_ID][REGION]
    made = backend.create_repository(NAME, None, None, None, "MUTABLE", [], None)
    made.image_tag_mutability = mutability
    made.image_tag_mutability_exclusion_filters = [
        {"filterType": "WILDCARD", "filter": one} for one in filters
    ]

    try:
        assert repositories.is_immutable(NAME, tag) is immutable
        assert made.uri == f"127.0.0.1:4566/{NAME}"
    finally:
        backend.repositories.pop(NAME)


@pytest.mark.parametrize("action", ["PutImage", "BatchDeleteImage", "StartImageScan", "InitiateLayerUpload"])
def test_motos_own_images_are_not_shown_as_if_they_were_in_the_registry(action: str) -> None:
    assert not moto_may(action)


def test_the_registrys_own_file_says_where_its_images_are(tmp_path: Path) -> None:
    written = json.loads(configuration(tmp_path, "127.0.0.1:5000"))

    assert written["storage"]["filesystem"]["rootdirectory"] == str(tmp_path)
    assert written["http"]["addr"] == "127.0.0.1:5000"
