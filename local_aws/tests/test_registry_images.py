"""CreateModel's view of ECR: an image that SageMaker does not take is refused in its words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.ecr.models import ecr_backends

from local_aws.registry import Ecr, Registry
from local_aws.registry.images import EcrImages
from local_aws.settings import ACCOUNT_ID, REGION
from testbed.registry_storage import NAME, Storage, image
from testbed.tiny_instances import process_settings

ADDRESS = "127.0.0.1:4566"
REPOSITORY = f"{ADDRESS}/{NAME}"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "cache" / "registry")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(process_settings(tmp_path))
    registry.url = "http://127.0.0.1:1"  # as if it ran
    return registry


@pytest.fixture
def images(registry: Registry) -> Iterator[EcrImages]:
    """Make a repository, and return its images."""
    backend = ecr_backends[ACCOUNT_ID][REGION]
    found = Ecr(registry, f"http://{ADDRESS}").images
    backend.create_repository(NAME, None, None, None, "IMMUTABLE", [], None)
    yield found
    backend.repositories.pop(NAME)


def test_an_image_by_dockers_own_manifest_is_taken(storage: Storage, images: EcrImages) -> None:
    digest = storage.push(image(1), "v1", at=1)

    assert images.refused(f"{REPOSITORY}:v1") is None
    assert images.refused(f"{REPOSITORY}@{digest}") is None
    assert images.refused(f"{REPOSITORY}:other@{digest}") is None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (OCI, image(1) | {"mediaType": OCI}),
        (OCI, {"schemaVersion": 2, "config": {"size": 7}, "layers": []}),
        (OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
        (DOCKER_LIST, {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}),
    ],
)
def test_any_other_manifest_is_refused_by_its_media_type(
    storage: Storage, images: EcrImages, kind: str, content: dict[str, Any]
) -> None:
    digest = storage.push(content, "v1", at=1)

    for name in (f"{REPOSITORY}:v1", f"{REPOSITORY}@{digest}"):
        assert images.refused(name) == (
            f"Unsupported manifest media type {kind} for image {name}. "
            "Ensure that valid manifest media type is used for specified image."
        )
        assert not images.is_absent(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{REPOSITORY}:v2", f"Requested image {REPOSITORY}:v2 not found."),
        (f"{REPOSITORY}@sha256:0", f"Requested image {REPOSITORY}@sha256:0 not found."),
        (REPOSITORY, f'ECR image "{REPOSITORY}" is invalid.'),
        (f"{ADDRESS}/none:v1", "The repository with name 'none' does not exist in the registry with id"),
    ],
)
def test_an_image_that_is_not_there_is_refused(
    storage: Storage, images: EcrImages, name: str, text: str
) -> None:
    storage.push(image(1), "v1", at=1)

    assert (images.refused(name) or "").startswith(text)
    assert images.is_absent(name)


def test_images_of_the_engine_and_of_other_registries_are_not_looked_up(images: EcrImages) -> None:
    assert images.refused("contract-server") is None
    assert images.refused("example.com/digits:v1") is None
    assert not images.is_absent("contract-server")


def test_no_image_is_looked_up_where_instances_are_processes(registry: Registry, images: EcrImages) -> None:
    registry.url = None

    assert images.refused(f"{REPOSITORY}:v1") is None
