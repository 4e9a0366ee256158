"""Scalable targets, their policies and their activities, and how AWS describes them."""

import re
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from local_aws.autoscaling.facts import (
    ARN_PREFIX,
    DIMENSION,
    NAMESPACE,
    POLICY_ARN_PREFIX,
    SERVICE_ROLE,
    AlarmShape,
)
from local_aws.errors import AwsError

_RESOURCE = re.compile(r"endpoint/(?P<endpoint>[A-Za-z0-9-]{1,63})/variant/(?P<variant>[A-Za-z0-9-]{1,63})")
_SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


@dataclass(frozen=True)
class Resource:
    """The variant behind `endpoint/NAME/variant/VARIANT`."""

    endpoint: str
    variant: str

    @classmethod
    def parse(cls, resource_id: str) -> "Resource":
        """Read a ResourceId. Raises AwsError."""
        match = _RESOURCE.fullmatch(resource_id)
        if match is None:
            raise AwsError(
                "ValidationException",
                "Unsupported service namespace, resource type or scalable dimension: "
                f"{resource_id!r} is not endpoint/NAME/variant/VARIANT",
            )
        return cls(match["endpoint"], match["variant"])

    def __str__(self) -> str:
        return f"endpoint/{self.endpoint}/variant/{self.variant}"

    def identity(self) -> dict[str, str]:
        """The three fields that name a scalable target in every request and answer."""
        return {"ServiceNamespace": NAMESPACE, "ResourceId": str(self), "ScalableDimension": DIMENSION}

    def sentence(self) -> str:
        """The same three as AWS's errors write them."""
        return f"service namespace: {NAMESPACE}, resource ID: {self}, scalable dimension: {DIMENSION}"


@dataclass
class Alarm:
    """One of the two alarms of a policy, and the last of its evaluations that was acted on."""

    name: str
    shape: AlarmShape
    arn: str = ""
    acted_on: int = -1


@dataclass
class Policy:
    """One target-tracking policy; `configuration` is the request's, as AWS gives it back."""

    name: str
    resource: Resource
    configuration: dict[str, Any]
    alarms: tuple[Alarm, ...]
    created: float
    arn: str = ""

    def __post_init__(self) -> None:
        if not self.arn:
            where = f"resource/{NAMESPACE}/{self.resource}:policyName/{self.name}"
            self.arn = f"{POLICY_ARN_PREFIX}{uuid4()}:{where}"

    @property
    def target(self) -> float:
        """The metric's value to hold."""
        return float(self.configuration["TargetValue"])

    @property
    def may_scale_in(self) -> bool:
        """Is the scale-in half switched on?"""
        return not self.configuration.get("DisableScaleIn", False)

    def updated(self, new: "Policy") -> "Policy":
        """Return `new` as an update of this policy: same ARN, same alarms where they look alike."""
        same = [alarm.shape for alarm in self.alarms] == [alarm.shape for alarm in new.alarms]
        alarms = self.alarms if same else new.alarms
        return replace(new, arn=self.arn, created=self.created, alarms=alarms)

    def alarms_described(self) -> list[dict[str, str]]:
        """The alarms as PutScalingPolicy returns them."""
        return [{"AlarmName": alarm.name, "AlarmARN": alarm.arn} for alarm in self.alarms]

    def described(self) -> dict[str, Any]:
        """The policy as DescribeScalingPolicies returns it."""
        return {
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            **self.resource.identity(),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": self.configuration,
            "Alarms": self.alarms_described(),
            "CreationTime": self.created,
        }


@dataclass
class Activity:
    """One scaling activity; with `reasons`, one that did not scale."""

    resource: Resource
    description: str
    cause: str
    started: float
    status: str
    message: str = ""
    ended: float | None = None
    reasons: list[dict[str, Any]] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid4()))

    def described(self) -> dict[str, Any]:
        """The activity as DescribeScalingActivities returns it."""
        optional = {
            "EndTime": self.ended,
            "StatusMessage": self.message or None,
            "NotScaledReasons": self.reasons or None,
        }
        return {
            "ActivityId": self.id,
            **self.resource.identity(),
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.started,
            "StatusCode": self.status,
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclass(frozen=True)
class Running:
    """An activity that SageMaker has accepted and not yet fulfilled; `configuration` is its policy's, if any."""

    activity: Activity
    before: int
    wanted: int
    configuration: dict[str, Any] | None


@dataclass(frozen=True)
class Scaled:
    """The last fulfilled change of a target's capacity by a policy: what cooldowns count from."""

    outwards: bool
    before: int
    cooldown_ends: float


@dataclass
class Target:
    """One scalable target with its policies."""

    resource: Resource
    minimum: int
    maximum: int
    created: float
    suspended: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(_SUSPENSIONS, False))
    policies: dict[str, Policy] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    running: Running | None = None
    last: Scaled | None = None
    arn: str = field(default_factory=lambda: f"{ARN_PREFIX}{uuid4().hex}")

    def described(self) -> dict[str, Any]:
        """The target as DescribeScalableTargets returns it."""
        return {
            **self.resource.identity(),
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": SERVICE_ROLE,
            "CreationTime": self.created,
            "SuspendedState": self.suspended,
            "ScalableTargetARN": self.arn,
        }
