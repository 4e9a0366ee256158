"""Numbers and rules of Application Auto Scaling that AWS does not promise, each with its source.

D: documented. S: seen in public reports or logs. I: inferred; no source says so.

* `TARGET_ALARMS`, standard (S): AlarmHigh breaches above the target in 3 periods of 60 s, AlarmLow below 0.9 of
  it in 15. High resolution (I): the same rule on the Maximum, with periods of 10 s
  outwards and of 60 s inwards.
* `proportional` (I): desired = ceil(current × metric ÷ target), with the newest complete period's value. AWS
  documents only "proportional, conservative".
* A cooldown starts when the activity has been fulfilled (I). Within a scale-out cooldown the metric is compared
  with the capacity before that scale-out, and only a desired capacity above the present one acts (I): the
  documented rule is that a *larger* scale-out still happens.
* An alarm that stays in ALARM triggers its policy again at each of its evaluations (I).
* An instance variant has at least `MINIMUM_INSTANCES` (the guide's rule; the API model would allow 0).
* `UNSCALABLE_TYPES` (S). The sentence for a missing endpoint is ours (I).
* Every alarm that names a step policy's ARN among the actions of its present state starts it; MetricAggregationType
  aggregates the datapoints that decided the alarm (D), which are those that exist of its N newest (I).
* A percentage of the capacity is rounded towards zero, but never to zero (D).
* A one-time scheduled action stays listed after its time (I). While an endpoint is updating only its target's
  limits move (I); the capacity follows when a policy next acts.
* A not-scaled reason is recorded once and again only after something else happened (I).
"""

import math
from dataclasses import dataclass

from local_aws.errors import invalid
from local_aws.places import account_id, region

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
DEFAULT_COOLDOWN_SECONDS = 300.0  # D
MINIMUM_INSTANCES = 1
UNSCALABLE_TYPES = ("ml.t2.",)
ACTIVITIES_KEPT = 1_000  # AWS keeps six weeks
SERVICE_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def arn(service: str, rest: str) -> str:
    """Return an ARN in the account and Region of the call; IAM's are of no Region."""
    return f"arn:aws:{service}:{'' if service == 'iam' else region()}:{account_id()}:{rest}"


@dataclass(frozen=True)
class AlarmShape:
    """Rule of one of the two alarms of a target-tracking policy."""

    kind: str
    comparison: str
    target_factor: float
    datapoints: int
    period_seconds: int


@dataclass(frozen=True)
class PredefinedMetric:
    """The CloudWatch metric behind a predefined name, and the alarms on it."""

    name: str
    statistic: str
    alarms: tuple[AlarmShape, AlarmShape]


def _alarms(high_period: int) -> tuple[AlarmShape, AlarmShape]:
    return (
        AlarmShape("AlarmHigh", "GreaterThanThreshold", 1.0, 3, high_period),
        AlarmShape("AlarmLow", "LessThanThreshold", 0.9, 15, 60),
    )


TARGET_ALARMS = _alarms(60)
PREDEFINED_METRICS = {
    "SageMakerVariantInvocationsPerInstance": PredefinedMetric(
        "InvocationsPerInstance", "Sum", TARGET_ALARMS
    ),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": PredefinedMetric(
        "ConcurrentRequestsPerModel", "Maximum", _alarms(10)
    ),
}


def proportional(current: int, metric: float, target: float) -> int:
    """Return the instances that would bring `metric` (per instance) to `target`."""
    return math.ceil(round(current * metric / target, 9))  # so that 2 × 1.5 ÷ 1.5 stays 2


def check_limits(minimum: int | None, maximum: int | None) -> tuple[int, int]:
    """Return the limits of a scalable target. Raises AwsError when they are impossible."""
    if minimum is None or maximum is None:
        raise invalid("Both MinCapacity and MaxCapacity are required to register a new scalable target.")
    if minimum < MINIMUM_INSTANCES:
        raise invalid(f"MinCapacity must be at least {MINIMUM_INSTANCES} for an instance variant.")
    if maximum < minimum:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
    return minimum, maximum
