"""Scalable targets, their policies, scheduled actions and activities, and how AWS describes them."""

import re
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from local_aws.autoscaling import facts
from local_aws.autoscaling.decision import Signal
from local_aws.autoscaling.facts import AlarmShape
from local_aws.autoscaling.schedule import IsDue
from local_aws.autoscaling.steps import StepSignal
from local_aws.cloudwatch.alarm import Trigger
from local_aws.errors import invalid

_RESOURCE = re.compile(r"endpoint/(?P<endpoint>[A-Za-z0-9-]{1,63})/variant/(?P<variant>[A-Za-z0-9-]{1,63})")
_SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
TRACKING = "TargetTrackingScaling"

Activity = dict[str, Any]
"""One scaling activity as DescribeScalingActivities returns it; with NotScaledReasons, one that did not scale."""


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
            raise invalid(
                "Unsupported service namespace, resource type or scalable dimension: "
                f"{resource_id!r} is not endpoint/NAME/variant/VARIANT",
            )
        return cls(match["endpoint"], match["variant"])

    def __str__(self) -> str:
        return f"endpoint/{self.endpoint}/variant/{self.variant}"

    def identity(self) -> dict[str, str]:
        """The three fields that name a scalable target in every request and answer."""
        return {
            "ServiceNamespace": facts.NAMESPACE,
            "ResourceId": str(self),
            "ScalableDimension": facts.DIMENSION,
        }

    def sentence(self) -> str:
        """The same three as AWS's errors write them."""
        where = f"resource ID: {self}, scalable dimension: {facts.DIMENSION}"
        return f"service namespace: {facts.NAMESPACE}, {where}"


@dataclass
class Policy:
    """One policy; `configuration` is the request's, `alarms` are those that it made itself, by name."""

    name: str
    resource: Resource
    kind: str
    configuration: dict[str, Any]
    alarms: dict[str, AlarmShape]
    created: float
    id: str = field(default_factory=lambda: str(uuid4()))
    acted_on: dict[str, int] = field(default_factory=dict)
    """Last period of each alarm that was acted on."""

    @property
    def arn(self) -> str:
        """What its alarms name as their action."""
        where = f"resource/{facts.NAMESPACE}/{self.resource}:policyName/{self.name}"
        return f"{facts.POLICY_ARN_PREFIX}{self.id}:{where}"

    @property
    def tracks(self) -> bool:
        """Is it a target-tracking policy, not a step policy?"""
        return self.kind == TRACKING

    @property
    def may_scale_in(self) -> bool:
        """Is the scale-in half of target tracking switched on?"""
        return not self.configuration.get("DisableScaleIn", False)

    def cooldown(self, *, outwards: bool) -> float:
        """AWS seconds to wait after a change that it made."""
        name = "Cooldown" if not self.tracks else "ScaleOutCooldown" if outwards else "ScaleInCooldown"
        return float(self.configuration.get(name, facts.DEFAULT_COOLDOWN_SECONDS))

    def signal(self, trigger: Trigger) -> Signal | StepSignal:
        """What it makes of an alarm."""
        if not self.tracks:
            return StepSignal.of(self.name, trigger, self.configuration)
        return Signal(self.name, trigger.alarm, trigger.values[0], float(self.configuration["TargetValue"]))

    def updated(self, new: "Policy") -> "Policy":
        """Return `new` as an update of this policy: same ARN, same alarms where they look alike."""
        same = [*self.alarms.values()] == [*new.alarms.values()]
        return replace(new, id=self.id, created=self.created, alarms=self.alarms if same else new.alarms)

    def alarms_described(self) -> list[dict[str, str]]:
        """The alarms as PutScalingPolicy returns them."""
        return [{"AlarmName": name, "AlarmARN": f"{facts.ALARM_ARN_PREFIX}{name}"} for name in self.alarms]

    def described(self) -> dict[str, Any]:
        """The policy as DescribeScalingPolicies returns it."""
        return {
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            **self.resource.identity(),
            "PolicyType": self.kind,
            f"{self.kind}PolicyConfiguration": self.configuration,
            "Alarms": self.alarms_described(),
            "CreationTime": self.created,
        }


@dataclass
class ScheduledAction:
    """New limits at certain times; `request` is PutScheduledAction's, `looked` when it was last looked at."""

    request: dict[str, Any]
    is_due: IsDue
    created: float
    looked: float
    arn: str = field(default_factory=lambda: f"{facts.SCHEDULE_ARN_PREFIX}{uuid4()}")

    def comes_due(self, now: float) -> bool:
        """Has its time come since the last look, between StartTime and EndTime?"""
        after = max(self.looked, self.request.get("StartTime", 0.0) - 0.001)
        self.looked = now
        until = min(now, self.request.get("EndTime", now))
        return after < until and self.is_due(after, until)

    def described(self) -> dict[str, Any]:
        """The action as DescribeScheduledActions returns it."""
        return {**self.request, "ScheduledActionARN": self.arn, "CreationTime": self.created}


@dataclass(frozen=True)
class Running:
    """An activity that SageMaker has accepted and not yet fulfilled, and the policy that started it, if any."""

    activity: Activity
    before: int
    wanted: int
    policy: Policy | None


@dataclass(frozen=True)
class Scaled:
    """The last fulfilled change of a target's capacity by a policy: what cooldowns count from."""

    outwards: bool
    before: int
    cooldown_ends: float


@dataclass
class Target:
    """One scalable target with its policies and scheduled actions."""

    resource: Resource
    minimum: int
    maximum: int
    created: float
    suspended: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(_SUSPENSIONS, False))
    policies: dict[str, Policy] = field(default_factory=dict)
    scheduled: dict[str, ScheduledAction] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    running: Running | None = None
    last: Scaled | None = None
    arn: str = field(default_factory=lambda: f"{facts.ARN_PREFIX}{uuid4().hex}")

    def described(self) -> dict[str, Any]:
        """The target as DescribeScalableTargets returns it."""
        return {
            **self.resource.identity(),
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": facts.SERVICE_ROLE,
            "CreationTime": self.created,
            "SuspendedState": self.suspended,
            "ScalableTargetARN": self.arn,
        }
