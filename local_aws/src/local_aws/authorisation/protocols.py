"""The protocol by which authorisation reads the resources that exist."""

from typing import Protocol


class Facts(Protocol):
    """The resources that a decision depends on, besides the names in the request."""

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role, with its path; by its name alone where there is none."""
        ...

    def has_role(self, name: str) -> bool:
        """Check whether IAM has a role of this name."""
        ...

    def key_arn(self, given: str) -> str:
        """Return the ARN of a key by its id, ARN or alias; an ARN of that name where there is none."""
        ...

    def has_object(self, bucket: str, key: str) -> bool:
        """Check whether a bucket has an object."""
        ...

    def config_of(self, endpoint: str) -> str | None:
        """Return the name of an endpoint's config; None when there is no such endpoint."""
        ...

    def storage_key_of(self, config: str) -> str | None:
        """Return the KmsKeyId of an endpoint config, where it has one."""
        ...

    def alarms_of_target(self, scalable: str) -> tuple[str, ...]:
        """List the names of the alarms that scaling has made for a target."""
        ...
