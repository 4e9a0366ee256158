"""Protocols between the parts of this AWS, so that none imports another."""

from dataclasses import dataclass
from typing import Any, Protocol


class Service(Protocol):
    """The operations of one AWS service that are answered here."""

    @property
    def actions(self) -> frozenset[str]:
        """Operations answered here; others of the service go to moto."""
        ...

    async def handle(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request whose shape botocore's model has accepted. Raises AwsError."""
        ...


@dataclass(frozen=True)
class VariantState:
    """The state of one production variant, for scaling."""

    endpoint_status: str
    instance_type: str
    current: int
    desired: int


class Fleets(Protocol):
    """The endpoints, for scaling."""

    def variant(self, endpoint: str, variant: str) -> VariantState | None:
        """Describe one variant; None when there is no such endpoint or variant."""
        ...

    def set_desired_count(self, endpoint: str, variant: str, count: int) -> None:
        """Ask for `count` instances. Raises AwsError unless the endpoint is InService."""
        ...


class RoleRights(Protocol):
    """The rights of execution roles, for what SageMaker does in their name."""

    def require_assumable(self, role: str | None) -> None:
        """Return when SageMaker may assume a role. Raises AwsError."""
        ...

    def may(self, role: str | None, action: str, resource: str) -> bool:
        """Check whether a role may do something, in the hands of SageMaker."""
        ...


class EveryRight:
    """The rights of roles where IAM is not enforced."""

    def require_assumable(self, role: str | None) -> None:
        """Take any role, and none."""

    def may(self, role: str | None, action: str, resource: str) -> bool:  # noqa: ARG002
        """Allow everything."""
        return True


class AlarmStates(Protocol):
    """The alarms, for deployments."""

    def state(self, name: str) -> str | None:
        """Return `OK`, `ALARM` or `INSUFFICIENT_DATA`; None when there is no such alarm."""
        ...
