"""PutScalingPolicy's configuration: what can act here, what is refused, and the two alarms that follow from it."""

from typing import Any
from uuid import uuid4

from local_aws.autoscaling.facts import (
    PREDEFINED_METRICS,
    TARGET_ALARMS,
    AlarmShape,
)
from local_aws.autoscaling.model import Alarm, Policy, Resource
from local_aws.errors import AwsError, not_imitated


def check_configuration(request: dict[str, Any]) -> dict[str, Any]:
    """Return the target-tracking configuration of a PutScalingPolicy request. Raises AwsError."""
    kind = request.get("PolicyType", "StepScaling")  # AWS's own default
    if kind != "TargetTrackingScaling":
        raise not_imitated(f"A scaling policy of type {kind}")
    configuration: dict[str, Any] | None = request.get("TargetTrackingScalingPolicyConfiguration")
    if configuration is None:
        raise _invalid(
            "TargetTrackingScalingPolicyConfiguration is required for TargetTrackingScaling policies."
        )
    if configuration["TargetValue"] <= 0:
        raise _invalid("TargetValue must be above 0.")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if configuration.get(name, 0) < 0:
            raise _invalid(f"{name} must not be negative.")
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise _invalid("Specify either PredefinedMetricSpecification or CustomizedMetricSpecification.")
    if predefined is not None:
        _check_predefined(predefined)
    else:
        _check_customized(customized or {})
    return configuration


def _check_predefined(specification: dict[str, Any]) -> None:
    kind = specification["PredefinedMetricType"]
    if kind not in PREDEFINED_METRICS:
        known = ", ".join(sorted(PREDEFINED_METRICS))
        raise _invalid(
            f"Predefined metric {kind} does not measure an instance variant here; use one of {known}."
        )
    if "ResourceLabel" in specification:
        raise _invalid("ResourceLabel can be given for ALBRequestCountPerTarget only.")


def _check_customized(specification: dict[str, Any]) -> None:
    if "Metrics" in specification:
        raise not_imitated("Metric math in CustomizedMetricSpecification")
    missing = [name for name in ("Namespace", "MetricName", "Statistic") if name not in specification]
    if missing:
        raise _invalid(f"CustomizedMetricSpecification lacks {', '.join(missing)}.")


def make_alarms(resource: Resource, configuration: dict[str, Any]) -> tuple[Alarm, ...]:
    """Name a policy's two alarms."""
    specification = configuration.get("PredefinedMetricSpecification")
    shapes = TARGET_ALARMS
    if specification is not None:
        shapes = PREDEFINED_METRICS[specification["PredefinedMetricType"]].alarms
    return tuple(Alarm(f"TargetTracking-{resource}-{shape.kind}-{uuid4()}", shape) for shape in shapes)


def alarm_fields(policy: Policy, shape: AlarmShape) -> dict[str, Any]:
    """The fields of the CloudWatch alarm that watches a policy's metric."""
    return {
        **_metric_fields(policy),
        "comparison_operator": shape.comparison,
        "threshold": shape.target_factor * policy.target,
        "evaluation_periods": shape.datapoints,
        "period": shape.period_seconds,
        "description": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
        "alarm_actions": [policy.arn],
    }


def _metric_fields(policy: Policy) -> dict[str, Any]:
    predefined = policy.configuration.get("PredefinedMetricSpecification")
    if predefined is None:
        custom = policy.configuration["CustomizedMetricSpecification"]
        return {
            "namespace": custom["Namespace"],
            "metric_name": custom["MetricName"],
            "statistic": custom["Statistic"],
            "dimensions": custom.get("Dimensions", []),
            "unit": custom.get("Unit"),
        }
    metric = PREDEFINED_METRICS[predefined["PredefinedMetricType"]]
    return {
        "namespace": "AWS/SageMaker",
        "metric_name": metric.name,
        "statistic": metric.statistic,
        "dimensions": [
            {"Name": "EndpointName", "Value": policy.resource.endpoint},
            {"Name": "VariantName", "Value": policy.resource.variant},
        ],
    }


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)
