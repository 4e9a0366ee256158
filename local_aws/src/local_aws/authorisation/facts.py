"""The resources that a decision depends on, read from moto and from SageMaker's half here."""

from collections.abc import Callable
from typing import Any, Protocol

from moto.iam.models import Role, iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket, FakeKey, s3_backends

from local_aws.authorisation.forwarded import LINKED_ROLE, LINKED_SERVICE
from local_aws.cloudwatch import Alarms
from local_aws.places import account_id, account_in, region
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.resources import ResourceStore

PARTITION = "aws"


class Resources(Protocol):
    """The resources of one account and Region."""

    resource_store: ResourceStore
    endpoints: Endpoints
    alarms: Alarms


class ExistingResources:
    """The answers to `protocols.Facts`."""

    def __init__(self, resources: Callable[[], Resources]) -> None:
        """`resources` finds those of the request's account and Region."""
        self._resources = resources

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role, with its path; by its name alone where there is none."""
        role = role_named(name)
        return role.arn if role else f"arn:aws:iam::{account_id()}:role/{name}"

    def has_role(self, name: str) -> bool:
        """Check whether IAM has a role of this name."""
        return role_named(name) is not None

    def key_arn(self, given: str) -> str:
        """Return the ARN of a key by its id, ARN or alias; an ARN of that name where there is none."""
        backend: Any = kms_backends[account_id()][region()]
        key_id = backend.any_id_to_key_id(given) or given
        key = backend.keys.get(key_id)
        return key.arn if key else f"arn:aws:kms:{region()}:{account_id()}:key/{key_id}"

    def has_object(self, bucket: str, key: str) -> bool:
        """Check whether a bucket has an object whose newest version is no marker of its deletion."""
        found = bucket_named(bucket)
        return found is not None and isinstance(found.keys.get(key), FakeKey)

    def config_of(self, endpoint: str) -> str | None:
        """Return the name of an endpoint's config; None when there is no such endpoint."""
        found = self._resources().endpoints.all.get(endpoint)
        return found.live.config.name if found and found.live else None

    def storage_key_of(self, config: str) -> str | None:
        """Return the KmsKeyId of an endpoint config, where it has one."""
        found = self._resources().resource_store.configs.get(config)
        return found.request.get("KmsKeyId") if found else None

    def alarms_of_target(self, scalable: str) -> tuple[str, ...]:
        """List the alarms that scaling has made for a target: their names do not tell of which policy."""
        names = (each["name"] for each in self._resources().alarms.summary())
        return tuple(name for name in names if name.startswith(f"TargetTracking-{scalable}"))

    def make_linked_role(self) -> None:
        """Make the service-linked role of scaling, as the first scalable target of an account does."""
        if not self.has_role(LINKED_ROLE):
            trust = (
                '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
                f'"Principal": {{"Service": "{LINKED_SERVICE}"}}}}]}}'
            )
            iam_backends[account_id()][PARTITION].create_role(
                role_name=LINKED_ROLE,
                assume_role_policy_document=trust,
                path=f"/aws-service-role/{LINKED_SERVICE}/",
                permissions_boundary=None,
                description="",
                tags=[],
                max_session_duration="3600",
            )


def role_named(name: str) -> Role | None:
    """Find a role by its name."""
    roles = tuple(iam_backends[account_id()][PARTITION].get_roles())  # moto's thread may add one
    return next((role for role in roles if role.name == name), None)


def bucket_named(name: str) -> FakeBucket | None:
    """Find a bucket, whichever account owns it: names are one space."""
    _, owner = s3_backends.bucket_accounts.get(name, (PARTITION, account_id()))
    bucket: FakeBucket | None = s3_backends[owner][PARTITION].buckets.get(name)
    return bucket


def role_of(arn: str) -> Role | None:
    """Find a role by its ARN."""
    roles = tuple(iam_backends[account_in(arn)][PARTITION].get_roles())  # moto's thread may add one
    return next((role for role in roles if role.arn == arn), None)
