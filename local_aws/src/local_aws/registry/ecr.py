"""ECR's operations on images, answered from the registry behind this AWS.

The registry's storage persists over runs, by content: a repository created anew in a fresh local AWS
sees the images that an earlier run pushed under its name. That is the warm cache: an image whose tag
names its content is not built or pushed twice. (DeleteRepository with `force` does forget them.)
Where instances are processes there is no registry, and no repository has an image.
"""

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any

from local_aws.errors import AwsError, LeftToMoto, not_imitated
from local_aws.faults import Faults
from local_aws.instances.login import PASSWORD, USER
from local_aws.registry.images import EcrImages
from local_aws.registry.repositories import Repositories
from local_aws.registry.scan import no_scan, scan_of
from local_aws.registry.server import Registry
from local_aws.registry.store import StoredImage
from local_aws.settings import ACCOUNT_ID

_TOKEN_SECONDS = 12 * 3600
TOKEN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_MOTO_MAY = frozenset(
    {
        *("CreateRepository", "DescribeRepositories", "PutImageTagMutability"),
        *("ListTagsForResource", "TagResource", "UntagResource"),
        *("GetRepositoryPolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy"),
        *("GetLifecyclePolicy", "PutLifecyclePolicy", "DeleteLifecyclePolicy"),
    }
)


def moto_may(action: str) -> bool:
    """Check whether moto may answer an operation: all that concern no image."""
    return action in _MOTO_MAY


class Ecr:
    """The ECR service: images, the login, and DeleteRepository's check for images that are left."""

    def __init__(
        self,
        registry: Registry,
        front_url: str,
        faults: Faults | None = None,
        password: Callable[[], str] = lambda: PASSWORD,
    ) -> None:
        """`front_url` is http://127.0.0.1:PORT, where the proxy answers /v2/*; `faults`: what scans find.

        `password`: the login of the caller of the request that is being answered.
        """
        self._password = password
        self._faults = faults or Faults()
        address = front_url.removeprefix("http://")
        self.repositories = Repositories(address)
        self.images = EcrImages(registry, self.repositories, address)
        self._registry, self._front_url = registry, front_url
        self._answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetAuthorizationToken": self._authorization_token,
            "DescribeImages": self._describe_images,
            "ListImages": self._list_images,
            "BatchGetImage": self._batch_get_image,
            "DescribeImageScanFindings": self._scan_findings,
            "DeleteRepository": self._delete_repository,
        }

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(self._answers)

    async def handle(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._answers[action](request)

    def _authorization_token(self, _: dict[str, Any]) -> dict[str, Any]:
        expires = time.time() + _TOKEN_SECONDS
        token = base64.b64encode(f"{USER}:{self._password()}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": self._front_url}
        return {"authorizationData": [data]}

    def _describe_images(self, request: dict[str, Any]) -> dict[str, Any]:
        name, images = request["repositoryName"], self._images(request)
        if "imageIds" in request:
            wanted = {_demand(images, image_id, name).digest for image_id in request["imageIds"]}
            images = [image for image in images if image.digest in wanted]
        page, following = _page(images, request)
        return {"imageDetails": [_detail(image, name) for image in page], **following}

    def _list_images(self, request: dict[str, Any]) -> dict[str, Any]:
        ids = [image_id for image in self._images(request) for image_id in _ids(image)]
        page, following = _page(ids, request)
        return {"imageIds": page, **following}

    def _batch_get_image(self, request: dict[str, Any]) -> dict[str, Any]:
        name, images = request["repositoryName"], self._images(request)
        found, failures = [], []
        for image_id in request["imageIds"]:
            image = _find(images, image_id)
            if isinstance(image, StoredImage):
                _require_accepted(image, request.get("acceptedMediaTypes"))
                found.append(_manifest(image, image_id, name))
            else:
                failures.append({"imageId": image_id, "failureCode": image[0], "failureReason": image[1]})
        return {"images": found, "failures": failures}

    def _scan_findings(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["repositoryName"]
        image = _demand(self._images(request), request["imageId"], name)
        if not self.repositories.scans_what_is_pushed(name):
            raise no_scan(image, name)
        return scan_of(image, name, self._faults.findings())

    def _delete_repository(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["repositoryName"]
        if self._images(request) and not request.get("force"):
            raise AwsError(
                "RepositoryNotEmptyException",
                f"The repository with name '{name}' in registry with id '{ACCOUNT_ID}' cannot be deleted "
                "because it still contains images",
            )
        self._registry.store.remove(name)
        raise LeftToMoto

    def _images(self, request: dict[str, Any]) -> list[StoredImage]:
        self.repositories.check(request["repositoryName"])
        if self._registry.url is None:
            return []
        images = self._registry.store.images(request["repositoryName"])
        status = request.get("filter", {}).get("tagStatus", "ANY")
        return [image for image in images if status == "ANY" or bool(image.tags) == (status == "TAGGED")]


def _find(images: Sequence[StoredImage], image_id: dict[str, str]) -> StoredImage | tuple[str, str]:
    """Find the image of an ImageIdentifier, else return ECR's failure code and reason."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if digest is None and tag is None:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return "MissingDigestAndTag", reason
    by_tag = next((image for image in images if tag in image.tags), None)
    if digest is None:
        return by_tag or ("ImageNotFound", "Requested image not found")
    by_digest = next((image for image in images if image.digest == digest), None)
    if by_digest is None:
        return "ImageNotFound", "Requested image not found"
    if tag is not None and by_tag is not by_digest:
        return "ImageTagDoesNotMatchDigest", f"Tag {tag} does not match digest {digest}"
    return by_digest


def _require_accepted(image: StoredImage, accepted: Sequence[str] | None) -> None:
    """Return when a request takes the manifest as it is. Raises AwsError: ECR's conversions are not imitated."""
    if accepted and image.media_type not in accepted:
        raise not_imitated(f"acceptedMediaTypes without {image.media_type}, which image {image.digest} has,")


def _demand(images: Sequence[StoredImage], image_id: dict[str, str], repository: str) -> StoredImage:
    image = _find(images, image_id)
    if isinstance(image, StoredImage):
        return image
    digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
    raise AwsError(
        "ImageNotFoundException",
        f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the "
        f"repository with name '{repository}' in the registry with id '{ACCOUNT_ID}'",
    )


def _detail(image: StoredImage, repository: str) -> dict[str, Any]:
    return {
        "registryId": ACCOUNT_ID,
        "repositoryName": repository,
        "imageDigest": image.digest,
        **({"imageTags": list(image.tags)} if image.tags else {}),
        "imageSizeInBytes": image.size_bytes,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
    }


def _manifest(image: StoredImage, image_id: dict[str, str], repository: str) -> dict[str, Any]:
    return {
        "registryId": ACCOUNT_ID,
        "repositoryName": repository,
        "imageId": {**image_id, "imageDigest": image.digest},
        "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": image.media_type,
    }


def _ids(image: StoredImage) -> list[dict[str, str]]:
    if not image.tags:
        return [{"imageDigest": image.digest}]
    return [{"imageDigest": image.digest, "imageTag": tag} for tag in image.tags]


def _page(items: list[Any], request: dict[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """Cut one page of `maxResults` items (default 100), and the token of the next when there is one."""
    try:
        first = int(request.get("nextToken", "0"))
    except ValueError as error:
        raise AwsError("InvalidParameterException", "Invalid parameter: nextToken") from error
    last = first + int(request.get("maxResults", 100))
    return items[first:last], {"nextToken": str(last)} if last < len(items) else {}
