"""The rights of an execution role for what SageMaker does in its name, and SageMaker's words where it lacks one.

Source of the text for images: aws/deep-learning-containers#759.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from local_aws.instances import not_downloaded, split_uri
from local_aws.protocols import RoleRights
from local_aws.sagemaker.training_files import Storage
from local_aws.settings import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)

LOG_IN = "ecr:GetAuthorizationToken"
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
KEEP_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")


def refused_image(rights: RoleRights, role: str | None, image: str) -> str | None:
    """Return SageMaker's sentence when a role may not pull an image; None when it may."""
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{repository_of(image)}"
    for action, resource in ((LOG_IN, "*"), *((each, repository) for each in PULL)):
        if not rights.may(role, action, resource):
            name = action.partition(":")[2]
            return f"The role '{role}' does not have {name} permission for the image: '{image}'."
    return None


def repository_of(image: str) -> str:
    """Return the name of an image's repository: without registry, tag and digest."""
    name = image.partition("@")[0]
    host, slash, rest = name.partition("/")
    name = rest if slash and ("." in host or ":" in host or host == "localhost") else name
    return name.partition(":")[0]


def refused_model_data(
    rights: RoleRights, role: str | None, source: str | Mapping[str, Any] | None
) -> str | None:
    """Return SageMaker's sentence when a role may not read model data; None when it may, or there is none."""
    if source is None:
        return None
    uri = source if isinstance(source, str) else str(source["S3DataSource"]["S3Uri"])
    if all(rights.may(role, action, resource) for action, resource in reads(uri)):
        return None
    return not_downloaded(uri)


def reads(uri: str) -> Iterable[tuple[str, str]]:
    """List the rights that reading an object, or all below a prefix, takes. Raises ModelDataError for no address."""
    bucket, key = split_uri(uri)
    if uri.endswith("/"):
        yield "s3:ListBucket", f"arn:aws:s3:::{bucket}"
    yield "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"


def keeps_logs(rights: RoleRights, role: str | None, group: str, stream: str) -> bool:
    """Check whether a role may write a log stream: SageMaker keeps no log otherwise."""
    place = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}:log-stream:"
    at = {"logs:CreateLogStream": f"{place}{stream}", "logs:PutLogEvents": f"{place}{stream}"}
    return all(rights.may(role, action, at.get(action, place)) for action in KEEP_LOGS)


def refused_alarms(rights: RoleRights, roles: Iterable[str | None]) -> str | None:
    """Return a sentence when a role may not look at the alarms that roll a deployment back; None when all may.

    AWS documents the need, not its words.
    """
    alarms = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:*"
    for role in roles:
        if not rights.may(role, "cloudwatch:DescribeAlarms", alarms):
            return f"The role '{role}' does not have cloudwatch:DescribeAlarms permission on the alarms of AutoRollbackConfiguration."  # fmt: skip
    return None


class StorageOfRole:
    """S3 and CloudWatch Logs as a training job's role may use them. Raises PermissionError, naming the action."""

    def __init__(self, storage: Storage, rights: RoleRights, role: str) -> None:
        self._storage, self._rights, self._role = storage, rights, role

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """List the keys below a prefix."""
        self._require("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        return self._storage.keys(bucket, prefix)

    def read(self, bucket: str, key: str) -> bytes:
        """Read an object."""
        self._require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        return self._storage.read(bucket, key)

    def put(self, bucket: str, key: str, file: Path) -> None:
        """Write an object."""
        self._require("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        self._storage.put(bucket, key, file)

    async def keep_log(self, group: str, stream: str, text: str) -> None:
        """Write a log; SageMaker keeps none for a role that may not."""
        if keeps_logs(self._rights, self._role, group, stream):
            await self._storage.keep_log(group, stream, text)
        else:
            log.warning("the role %s may not write the log %s of %s", self._role, stream, group)

    def _require(self, action: str, resource: str) -> None:
        if not self._rights.may(self._role, action, resource):
            raise PermissionError(
                f"the role {self._role} is not authorized to perform {action} on {resource}"
            )
