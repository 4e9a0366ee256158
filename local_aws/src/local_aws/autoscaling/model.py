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
        """Return the three fields that name a scalable target in every request and answer."""
        return {
            "ServiceNamespace": facts.NAMESPACE,
            "ResourceId": str(self),
            "ScalableDimension": facts.DIMENSION,
        }

    def sentence(self) -> str:
        """Return the same three as AWS's errors write them."""
        where = f"resource ID: {self}, scalable dimension: {facts.DIMENSION}"
        return f"service namespace: {facts.NAMESPACE}, {where}"


@dataclass
class Policy:
    """One policy; `configuration` is the request's, `alarms` are the policy's own, by name."""

    name: str
    resource: Resource
    kind: str
    configuration: dict[str, Any]
    alarms: dict[str, AlarmShape]
    created: float
    id: str = field(default_factory=lambda: str(uuid4()))
    acted_on: dict[str, int] = field(default_factory=dict)
    """Period in which each alarm last made the policy act."""

    @property
    def arn(self) -> str:
        """ARN that the policy's alarms name as their action."""
        where = f"resource/{facts.NAMESPACE}/{self.resource}:policyName/{self.name}"
        return facts.arn("autoscaling", f"scalingPolicy:{self.id}:{where}")

    @property
    def tracks(self) -> bool:
        """True for a target-tracking policy, False for a step policy."""
        return self.kind == TRACKING

    @property
    def may_scale_in(self) -> bool:
        """False when `DisableScaleIn` switches the scale-in half of target tracking off."""
        return not self.configuration.get("DisableScaleIn", False)

    def cooldown(self, *, outwards: bool) -> float:
        """Return the AWS seconds to wait after a change made by this policy."""
        name = "Cooldown" if not self.tracks else "ScaleOutCooldown" if outwards else "ScaleInCooldown"
        return float(self.configuration.get(name, facts.DEFAULT_COOLDOWN_SECONDS))

    def signal(self, trigger: Trigger) -> Signal | StepSignal:
        """Read the capacity that an alarm makes this policy ask for."""
        if not self.tracks:
            return StepSignal.of(self.name, trigger, self.configuration)
        return Signal(self.name, trigger.alarm, trigger.values[0], float(self.configuration["TargetValue"]))

    def updated(self, new: "Policy") -> "Policy":
        """Return `new` as an update of this policy: same ARN, same alarms where they look alike."""
        same = [*self.alarms.values()] == [*new.alarms.values()]
        return replace(new, id=self.id, created=self.created, alarms=self.alarms if same else new.alarms)

    def alarms_described(self) -> list[dict[str, str]]:
        """Describe the alarms as PutScalingPolicy does."""
        return [
            {"AlarmName": name, "AlarmARN": facts.arn("cloudwatch", f"alarm:{name}")} for name in self.alarms
        ]

    def described(self) -> dict[str, Any]:
        """Describe the policy as DescribeScalingPolicies does."""
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
    """New limits at certain times; `request` is PutScheduledAction's, `looked` the time of the last check."""

    request: dict[str, Any]
    is_due: IsDue
    created: float
    looked: float
    arn: str = field(default_factory=lambda: facts.arn("autoscaling", f"scheduledAction:{uuid4()}"))

    def comes_due(self, now: float) -> bool:
        """Check whether its time has come since the last check, between StartTime and EndTime."""
        after = max(self.looked, self.request.get("StartTime", 0.0) - 0.001)
        self.looked = now
        until = min(now, self.request.get("EndTime", now))
        return after < until and self.is_due(after, until)

    def described(self) -> dict[str, Any]:
        """Describe the action as DescribeScheduledActions does."""
        return {**self.request, "ScheduledActionARN": self.arn, "CreationTime": self.created}


@dataclass(frozen=True)
class RunningActivity:
    """An activity that SageMaker has accepted and not yet fulfilled, and the policy that started it, if any."""

    activity: Activity
    before: int
    wanted: int
    policy: Policy | None


@dataclass(frozen=True)
class LastScaling:
    """Last fulfilled change of a target's capacity by a policy; cooldowns count from it."""

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
    running: RunningActivity | None = None
    last: LastScaling | None = None
    arn: str = field(
        default_factory=lambda: facts.arn("application-autoscaling", f"scalable-target/{uuid4().hex}")
    )

    def described(self) -> dict[str, Any]:
        """Describe the target as DescribeScalableTargets does."""
        return {
            **self.resource.identity(),
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
            "RoleARN": facts.arn("iam", facts.SERVICE_ROLE),
            "CreationTime": self.created,
            "SuspendedState": self.suspended,
            "ScalableTargetARN": self.arn,
        }
