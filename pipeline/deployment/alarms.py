"""The alarms that roll a deployment back; they watch only the new fleet, by the name of its endpoint config.

Units are CloudWatch's: ModelLatency in microseconds; error metrics are 0 or 1 per request, so that their
Average is a ratio. Without traffic there is no data, and no data is not a breach.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.aws.calls import Call
from pipeline.aws.cloudwatch import MISSING_DATA, dimensions, statistic
from pipeline.aws.drift import contains
from pipeline.config import CustomAlarm, Environment

MICROSECONDS_PER_MS = 1000.0
VETO = "smoke-veto"  # fires when the smoke test of the bake got a wrong answer
FIRES_AT_ONCE = {"Statistic": "Sum", "Period": 30, "EvaluationPeriods": 1, "Threshold": 0.0}
COMPARISONS = {
    "above": "GreaterThanThreshold",
    "at_least": "GreaterThanOrEqualToThreshold",
    "below": "LessThanThreshold",
    "at_most": "LessThanOrEqualToThreshold",
}


def alarm_prefix(env: Environment) -> str:
    """Return the name prefix of an endpoint's alarms. Endpoint names have no slash: no other endpoint has it."""
    return f"{env.endpoint.name}/"


def alarms_of(env: Environment, config: str) -> tuple[dict[str, Any], ...]:
    """Return the parameters of the alarms that watch the fleet on `config`.

    `model-errors` includes time-outs and broken connections, and excludes errors of callers: a client that posts
    nonsense must not roll a good release back.
    """
    period = env.alarms.period_seconds
    error_ratio = env.alarms.error_percent / 100
    latency = {"ExtendedStatistic": "p99", "Threshold": env.alarms.p99_latency_ms * MICROSECONDS_PER_MS}
    server_errors = {"Statistic": "Average", "Threshold": error_ratio}
    not_the_callers = [
        _average("all", "InvocationModelErrors", env, config),
        _average("callers", "Invocation4XXErrors", env, config),
        {"Id": "ratio", "Expression": "all - callers", "ReturnData": True},
    ]
    return (
        _alarm(
            env, config, "p99-latency", {**_metric("ModelLatency", env, config), "Period": period, **latency}
        ),
        _alarm(
            env,
            config,
            "5xx-errors",
            {**_metric("Invocation5XXErrors", env, config), "Period": period, **server_errors},
        ),
        _alarm(env, config, "model-errors", {"Metrics": not_the_callers, "Threshold": error_ratio}),
        _alarm(env, config, VETO, {**veto_metric(env, config), **FIRES_AT_ONCE}),
        *(_alarm(env, config, each.name, _custom(each, env, config)) for each in env.alarms.custom),
    )


def _custom(alarm: CustomAlarm, env: Environment, config: str) -> dict[str, Any]:
    watched = {"EndpointName": env.endpoint.name, "VariantName": env.endpoint.variant}
    if alarm.scope == "new_fleet":
        watched["EndpointConfigName"] = config
    return {
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric,
        "Dimensions": dimensions({**watched, **alarm.dimensions}),
        **statistic(alarm.statistic),
        "Period": alarm.period_seconds or env.alarms.period_seconds,
        "EvaluationPeriods": alarm.evaluation_periods or env.alarms.evaluation_periods,
        "Threshold": alarm.threshold,
        "ComparisonOperator": COMPARISONS[alarm.comparison],
        "TreatMissingData": MISSING_DATA[alarm.missing_data],
    }


def veto_metric(env: Environment, config: str) -> dict[str, Any]:
    """Return the metric by which the smoke test of a bake vetoes the fleet on `config`."""
    watched = {"EndpointName": env.endpoint.name, "EndpointConfigName": config}
    return {"Namespace": "Releases", "MetricName": "WrongAnswers", "Dimensions": dimensions(watched)}


def _metric(name: str, env: Environment, config: str) -> dict[str, Any]:
    endpoint = env.endpoint
    watched = {
        "EndpointName": endpoint.name,
        "VariantName": endpoint.variant,
        "EndpointConfigName": config,
    }
    return {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions(watched)}


def _average(query: str, metric: str, env: Environment, config: str) -> dict[str, Any]:
    stat = {"Metric": _metric(metric, env, config), "Period": env.alarms.period_seconds, "Stat": "Average"}
    return {"Id": query, "MetricStat": stat, "ReturnData": False}


def _alarm(env: Environment, config: str, what: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": f"{alarm_prefix(env)}{config}/{what}",
        "AlarmDescription": f"Rolls back the deployment of {config}; made by the pipeline.",
        "ActionsEnabled": False,  # SageMaker reads the state; an action is not needed
        "EvaluationPeriods": env.alarms.evaluation_periods,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **rule,
    }


def plan_alarms(env: Environment, config: str, existing: Mapping[str, Mapping[str, Any]]) -> tuple[Call, ...]:
    """List the calls that put each alarm of `config` that is missing or differs."""
    return tuple(
        Call("cloudwatch", "put_metric_alarm", alarm, f"put alarm {alarm['AlarmName']}")
        for alarm in alarms_of(env, config)
        if not contains(alarm, existing.get(alarm["AlarmName"], {}))
    )


def plan_removal(env: Environment, config: str, existing: Mapping[str, Any]) -> tuple[Call, ...]:
    """List the call that deletes the alarms of every other config of this endpoint."""
    wanted = {alarm["AlarmName"] for alarm in alarms_of(env, config)}
    stale = sorted(name for name in existing if name not in wanted)
    if not stale:
        return ()
    says = f"delete {len(stale)} alarms of earlier fleets of {env.endpoint.name}"
    return (Call("cloudwatch", "delete_alarms", {"AlarmNames": stale}, says),)
