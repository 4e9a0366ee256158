"""The parameters of the calls to Application Auto Scaling. Pure.

Three kinds of policy act within the bounds, and the largest fleet wins: target tracking on invocations
per instance (evaluated every 60 s), target tracking on concurrent requests per instance (high resolution,
every 10 s), and steps, which an alarm of ours starts. Scheduled actions move the bounds themselves.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pipeline.aws.cloudwatch import MISSING_DATA, dimensions, statistic
from pipeline.config import Environment, ScheduledBounds, StepPolicy

NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENCY = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
ADJUSTMENTS = {
    "instances": "ChangeInCapacity",
    "percent": "PercentChangeInCapacity",
    "exact": "ExactCapacity",
}


def resource(env: Environment) -> dict[str, str]:
    """Return the parameters that identify the variant to Application Auto Scaling."""
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": f"endpoint/{env.endpoint.name}/variant/{env.endpoint.variant}",
        "ScalableDimension": DIMENSION,
    }


def policies_of(env: Environment, target: float | None) -> tuple[dict[str, Any], ...]:
    """Return PutScalingPolicy's parameters for every policy of the config.

    `target`: invocations per instance and minute; None leaves that policy out, because none is wanted or
    because the capacity is not known yet. So does a concurrency_target that is still `measured`.
    """
    concurrent = env.autoscaling.concurrency_target
    return (
        *([invocations_policy(env, target)] if target is not None else []),
        *(
            [_tracking(env, "concurrency", CONCURRENCY, concurrent)]
            if isinstance(concurrent, int | float)
            else []
        ),
        *(_stepping(env, each) for each in env.autoscaling.steps),
    )


def invocations_policy(env: Environment, target: float) -> dict[str, Any]:
    """Return PutScalingPolicy's parameters: hold this number of invocations per instance and minute."""
    return _tracking(env, "invocations", INVOCATIONS, target)


def policy_name(env: Environment, what: str) -> str:
    """Name a policy: `invocations`, `concurrency`, or the name of a step policy."""
    return f"{env.endpoint.name}-{what}"


def _tracking(env: Environment, what: str, metric: str, target: float) -> dict[str, Any]:
    return {
        **resource(env),
        "PolicyName": policy_name(env, what),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "ScaleOutCooldown": env.autoscaling.scale_out_cooldown_seconds,
            "ScaleInCooldown": env.autoscaling.scale_in_cooldown_seconds,
        },
    }


def _stepping(env: Environment, policy: StepPolicy) -> dict[str, Any]:
    minimum = policy.minimum_change
    return {
        **resource(env),
        "PolicyName": policy_name(env, policy.name),
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": ADJUSTMENTS[policy.adjustment],
            "StepAdjustments": _adjustments(policy),
            "Cooldown": policy.cooldown_seconds,
            **({"MinAdjustmentMagnitude": minimum} if minimum is not None else {}),
        },
    }


def _adjustments(policy: StepPolicy) -> list[dict[str, Any]]:
    """Cut the metric's range beyond the threshold, the first `at`, without gap or overlap.

    AWS wants offsets from the threshold; the last step is open at its far end.
    """
    near, far = "MetricIntervalLowerBound", "MetricIntervalUpperBound"
    if policy.direction == "below":
        near, far = far, near
    threshold = policy.changes[0].at
    ends: list[dict[str, float]] = [{far: after.at - threshold} for _, after in pairwise(policy.changes)]
    return [
        {near: each.at - threshold, **end, "ScalingAdjustment": each.change}
        for each, end in zip(policy.changes, [*ends, {}], strict=True)
    ]


def step_alarm_prefix(env: Environment) -> str:
    """Return the name prefix of the alarms that start step policies; no rollback alarm has it."""
    return f"scaling:{env.endpoint.name}/"


def step_alarms_of(env: Environment, arns: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Return PutMetricAlarm's parameters of the alarm behind each step policy.

    `arns`: of the policies that were put, by policy name. The alarms outlive deployments: they watch
    the endpoint on every config.
    """
    return tuple(_step_alarm(env, each, arns[policy_name(env, each.name)]) for each in env.autoscaling.steps)


def _step_alarm(env: Environment, policy: StepPolicy, arn: str) -> dict[str, Any]:
    watched = {"EndpointName": env.endpoint.name, "VariantName": env.endpoint.variant}
    # AWS includes the threshold in the first step, too.
    comparison = "GreaterThanOrEqualTo" if policy.direction == "above" else "LessThanOrEqualTo"
    return {
        "AlarmName": f"{step_alarm_prefix(env)}{policy.name}",
        "AlarmDescription": f"Starts scaling policy {policy_name(env, policy.name)}; made by the pipeline.",
        "ActionsEnabled": True,
        "AlarmActions": [arn],
        "Namespace": policy.namespace,
        "MetricName": policy.metric,
        "Dimensions": dimensions(watched),
        **statistic(policy.statistic),
        "Period": policy.period_seconds,
        "EvaluationPeriods": policy.evaluation_periods,
        "Threshold": policy.changes[0].at,
        "ComparisonOperator": f"{comparison}Threshold",
        "TreatMissingData": MISSING_DATA[policy.missing_data],
    }


def scheduled_actions_of(env: Environment) -> tuple[dict[str, Any], ...]:
    """Return PutScheduledAction's parameters for every scheduled change of the bounds."""
    return tuple(_scheduled(env, each) for each in env.autoscaling.schedule)


def _scheduled(env: Environment, bounds: ScheduledBounds) -> dict[str, Any]:
    wanted = {"MinCapacity": bounds.min_instances, "MaxCapacity": bounds.max_instances}
    return {
        **resource(env),
        "ScheduledActionName": policy_name(env, bounds.name),
        "Schedule": bounds.schedule,
        "Timezone": bounds.timezone,
        "ScalableTargetAction": {key: value for key, value in wanted.items() if value is not None},
    }
