"""The alarms that roll a deployment back; they watch the new fleet only, by its endpoint config's name.

Units are CloudWatch's: ModelLatency in microseconds; error metrics are 0 or 1 per request, so that their
Average is a ratio. Without traffic there is no data, and no data is not a breach.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.calls import Call
from pipeline.config import Environment

MICROSECONDS_PER_MS = 1000.0


def alarm_prefix(env: Environment) -> str:
    """All alarms of an endpoint begin so. Endpoint names have no slash: no other endpoint's do."""
    return f"{env.endpoint.name}/"


def alarms_of(env: Environment, config: str) -> tuple[dict[str, Any], ...]:
    """Return the parameters of the alarms that watch the fleet on `config`."""
    error_ratio = env.alarms.error_percent / 100
    latency = {
        "MetricName": "ModelLatency",
        "ExtendedStatistic": "p99",
        "Threshold": env.alarms.p99_latency_ms * MICROSECONDS_PER_MS,
    }
    server_errors = {"MetricName": "Invocation5XXErrors", "Statistic": "Average", "Threshold": error_ratio}
    model_errors = {"MetricName": "InvocationModelErrors", "Statistic": "Average", "Threshold": error_ratio}
    return (
        _alarm(env, config, "p99-latency", latency),
        _alarm(env, config, "5xx-errors", server_errors),
        _alarm(env, config, "model-errors", model_errors),
    )


def _alarm(env: Environment, config: str, what: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": f"{alarm_prefix(env)}{config}/{what}",
        "AlarmDescription": f"Rolls back the deployment of {config}; made by the pipeline.",
        "ActionsEnabled": False,  # SageMaker looks at the state; an action is not needed
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": env.endpoint.name},
            {"Name": "VariantName", "Value": env.endpoint.variant},
            {"Name": "EndpointConfigName", "Value": config},
        ],
        "Period": env.alarms.period_seconds,
        "EvaluationPeriods": env.alarms.evaluation_periods,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **metric,
    }


def plan_alarms(env: Environment, config: str, existing: Mapping[str, Mapping[str, Any]]) -> tuple[Call, ...]:
    """Put each alarm of `config` that is missing or differs from what AWS has."""
    return tuple(
        Call("cloudwatch", "put_metric_alarm", alarm, f"put alarm {alarm['AlarmName']}")
        for alarm in alarms_of(env, config)
        if not _is_as_wanted(alarm, existing.get(alarm["AlarmName"], {}))
    )


def plan_removal(env: Environment, config: str, existing: Mapping[str, Any]) -> tuple[Call, ...]:
    """Delete the alarms of every other config of this endpoint."""
    wanted = {alarm["AlarmName"] for alarm in alarms_of(env, config)}
    stale = sorted(name for name in existing if name not in wanted)
    if not stale:
        return ()
    says = f"delete {len(stale)} alarms of earlier fleets of {env.endpoint.name}"
    return (Call("cloudwatch", "delete_alarms", {"AlarmNames": stale}, says),)


def _is_as_wanted(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(_comparable(found.get(key)) == _comparable(value) for key, value in wanted.items())


def _comparable(value: Any) -> Any:
    if isinstance(value, list):  # dimensions come back in any order
        return sorted(value, key=lambda each: str(each["Name"]))
    return value
