"""PutScalingPolicy's configuration: checks, refusals, and the two alarms of a target-tracking policy."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from local_aws.autoscaling.facts import PREDEFINED_METRICS, TARGET_ALARMS, AlarmShape
from local_aws.autoscaling.model import TRACKING, Policy, Resource
from local_aws.autoscaling.steps import check_steps
from local_aws.errors import invalid, not_imitated


def make_policy(request: dict[str, Any], resource: Resource, now: float) -> Policy:
    """Read a PutScalingPolicy request; a target-tracking policy gets two alarms. Raises AwsError."""
    kind = request.get("PolicyType", "StepScaling")  # AWS's own default
    checks = {TRACKING: _check_tracking, "StepScaling": check_steps}
    if kind not in checks:
        raise not_imitated(f"A scaling policy of type {kind}")
    configuration = request.get(f"{kind}PolicyConfiguration")
    if configuration is None:
        raise invalid(f"{kind}PolicyConfiguration is required for {kind} policies.")
    checks[kind](configuration)
    alarms: dict[str, AlarmShape] = {}
    if kind == TRACKING:
        predefined = configuration.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
        shapes = PREDEFINED_METRICS[predefined].alarms if predefined else TARGET_ALARMS
        alarms = {f"TargetTracking-{resource}-{shape.kind}-{uuid4()}": shape for shape in shapes}
    return Policy(request["PolicyName"], resource, kind, configuration, alarms, now)


def check_tracked_once(policy: Policy, others: Iterable[Policy]) -> None:
    """Return when no other policy tracks the same metric (terraform-provider-aws#41179). Raises AwsError."""
    if policy.tracks and any(
        other.tracks and other.name != policy.name and _tracked(other) == _tracked(policy) for other in others
    ):
        raise invalid("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def _tracked(policy: Policy) -> Any:
    """Return what a target-tracking policy measures."""
    given = policy.configuration
    return given.get("PredefinedMetricSpecification") or given.get("CustomizedMetricSpecification")


def _check_tracking(configuration: dict[str, Any]) -> None:
    if configuration["TargetValue"] <= 0:
        raise invalid("TargetValue must be above 0.")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if configuration.get(name, 0) < 0:
            raise invalid(f"{name} must not be negative.")
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification", {})
    if (predefined is None) == (not customized):
        raise invalid("Specify either PredefinedMetricSpecification or CustomizedMetricSpecification.")
    if predefined is not None:
        _check_predefined(predefined)
    elif "Metrics" not in customized:
        missing = [name for name in ("Namespace", "MetricName", "Statistic") if name not in customized]
        if missing:
            raise invalid(f"CustomizedMetricSpecification lacks {', '.join(missing)}.")


def _check_predefined(specification: dict[str, Any]) -> None:
    kind = specification["PredefinedMetricType"]
    if kind not in PREDEFINED_METRICS:
        known = ", ".join(sorted(PREDEFINED_METRICS))
        raise invalid(
            f"Predefined metric {kind} does not measure an instance variant here; use one of {known}."
        )
    if "ResourceLabel" in specification:
        raise invalid("ResourceLabel can be given for ALBRequestCountPerTarget only.")


def alarm_request(policy: Policy, name: str, shape: AlarmShape) -> dict[str, Any]:
    """Write the PutMetricAlarm request for one of a policy's alarms."""
    return {
        "AlarmName": name,
        **_metric_fields(policy, shape.period_seconds),
        "ComparisonOperator": shape.comparison,
        "Threshold": shape.target_factor * policy.configuration["TargetValue"],
        "EvaluationPeriods": shape.datapoints,
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
        "AlarmActions": [policy.arn],
    }


def _metric_fields(policy: Policy, period: int) -> dict[str, Any]:
    custom = policy.configuration.get("CustomizedMetricSpecification")
    if custom is None:
        kind = policy.configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]
        dimensions = {"EndpointName": policy.resource.endpoint, "VariantName": policy.resource.variant}
        custom = {
            "Namespace": "AWS/SageMaker",
            "MetricName": PREDEFINED_METRICS[kind].name,
            "Statistic": PREDEFINED_METRICS[kind].statistic,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
    if "Metrics" not in custom:
        return {**custom, "Period": period}
    return {
        "Metrics": [
            query
            | ({"MetricStat": {**query["MetricStat"], "Period": period}} if "MetricStat" in query else {})
            for query in custom["Metrics"]
        ]
    }
