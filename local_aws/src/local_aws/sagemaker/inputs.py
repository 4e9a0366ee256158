"""The checks of a new model or training job: its role, its image, and its data in S3.

Sources of the texts: aws/amazon-sagemaker-examples#2264 (no model data), philschmid/llm-sagemaker-sample#2 (model data
that the role may not read), aws/amazon-sagemaker-examples#2489 (no input of a training job) and #1476 (its image).
"""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from local_aws.errors import AwsError, invalid
from local_aws.instances import ModelDataError, split_uri
from local_aws.protocols import RoleRights
from local_aws.sagemaker.role_rights import reads
from local_aws.sagemaker.rules import check_model
from local_aws.sagemaker.training_rules import check_training_job
from local_aws.settings import REGION


class Keys(Protocol):
    """The one call of S3 that the checks need."""

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """List the keys that begin with the prefix. Raises KeyError when there is no such bucket."""
        ...


class Images(Protocol):
    """The images of ECR; those of the engine and of other registries are neither refused nor absent."""

    def refused(self, image: str) -> str | None:
        """Return CreateModel's sentence for an image that SageMaker does not take, else None."""
        ...

    def is_absent(self, image: str) -> bool:
        """Check whether an image of ECR is not there."""
        ...


class Inputs:
    """The checks of CreateModel and CreateTrainingJob that look at ECR, S3 and IAM. They block."""

    def __init__(self, images: Images, storage: Keys, rights: RoleRights) -> None:
        self._images, self._storage, self._rights = images, storage, rights

    def check_model(self, request: Mapping[str, Any]) -> None:
        """Return when a model can be made: role, image and model data are there. Raises AwsError."""
        check_model(request)
        role = request.get("ExecutionRoleArn")
        self._rights.require_assumable(role)
        container = request.get("PrimaryContainer") or request["Containers"][0]
        refused = self._images.refused(container["Image"])
        if refused:
            raise invalid(refused)
        source = container.get("ModelDataUrl") or container.get("ModelDataSource")
        if source is not None:
            self._check_model_data(
                source if isinstance(source, str) else source["S3DataSource"]["S3Uri"], role
            )

    def check_training_job(self, request: Mapping[str, Any]) -> None:
        """Return when a job can begin: role, image and channels are there. Raises AwsError."""
        check_training_job(request)
        self._rights.require_assumable(request["RoleArn"])
        image = request["AlgorithmSpecification"]["TrainingImage"]
        if self._images.is_absent(image):
            raise invalid(f"Cannot find the requested image: {image}")
        for channel in request.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            parts = urlsplit(uri)
            role, bucket = request["RoleArn"], parts.netloc
            listed = self._rights.may(role, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
            if not listed or not self._keys(bucket, parts.path.lstrip("/")):
                raise _no_input(uri, bucket, role)

    def _check_model_data(self, uri: str, role: str | None) -> None:
        try:
            bucket, key = split_uri(uri)
        except ModelDataError as error:
            raise invalid(str(error)) from error
        if not all(self._rights.may(role, action, resource) for action, resource in reads(uri)):
            raise _no_access(uri, role)
        found = self._keys(bucket, key)
        if not (found if uri.endswith("/") else key in found):
            raise invalid(f"Could not find model data at {uri}.")

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        try:
            return self._storage.keys(bucket, prefix)
        except KeyError:  # no such bucket
            return []


def _no_access(uri: str, role: str | None) -> AwsError:
    return invalid(
        f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its trust '
        'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". '
        f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {REGION}. If your '
        "Model uses multiple models or uncompressed models, please ensure that the role has "
        '"s3:ListBucket" permission.'
    )


def _no_input(uri: str, bucket: str, role: str) -> AwsError:
    return invalid(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
        f"the selected region ({REGION}), that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )
