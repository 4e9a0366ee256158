"""The alarms that roll a deployment back; they watch only the new fleet, by the name of its endpoint config.

Ours judge the share of bad requests by metric math: its value is that share, or 0 while chance explains it (see
`share_rule`). Units are CloudWatch's: ModelLatency in microseconds; PR(:x) is the percentage of values up to x; error
metrics are 0 or 1 per request, so that SampleCount is the number of requests. Without traffic there is no data, and no
data is not a breach.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.aws.calls import Call
from pipeline.aws.cloudwatch import MISSING_DATA, dimensions, statistic
from pipeline.aws.drift import contains
from pipeline.config import CustomAlarm, Environment
from pipeline.deployment.alarm_odds import latency_ms, rules_of
from pipeline.deployment.share_rule import LEAST_BAD, ShareRule

MICROSECONDS_PER_MS = 1000.0
LIVE = "live"  # in the place of a config's name, in the names of the alarms on the endpoint as a whole
VETO = "smoke-veto"  # fires when the smoke test of the bake got a wrong answer
_LOW_SAMPLES = {name: {"EvaluateLowSampleCountPercentile": name} for name in ("ignore", "evaluate")}
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


def live_prefix(env: Environment) -> str:
    """Return the name prefix of the alarms that notify people and roll nothing back."""
    return f"{alarm_prefix(env)}{LIVE}/"


def alarms_of(env: Environment, config: str) -> tuple[dict[str, Any], ...]:
    """Return the parameters of the alarms that watch the fleet on `config`.

    `model-errors` includes time-outs and broken connections, and excludes errors of callers: a client that posts
    nonsense must not roll a good release back.
    """
    slow, failed = rules_of(env, is_live=config == LIVE)
    microseconds = latency_ms(env) * MICROSECONDS_PER_MS
    rules = {
        "slow-requests": _share(
            slow,
            _stat("fast", "ModelLatency", f"PR(:{microseconds:.0f})", env, config),
            _stat("requests", "ModelLatency", "SampleCount", env, config),
            {"Id": "bad", "Expression": "requests * (1 - fast / 100)", "ReturnData": False},
        ),
        "5xx-errors": _share(
            failed,
            _stat("bad", "Invocation5XXErrors", "Sum", env, config),
            _stat("requests", "Invocation5XXErrors", "SampleCount", env, config),
        ),
        "model-errors": _share(
            failed,
            _stat("all", "InvocationModelErrors", "Sum", env, config),
            _stat("callers", "Invocation4XXErrors", "Sum", env, config),
            _stat("requests", "InvocationModelErrors", "SampleCount", env, config),
            {"Id": "bad", "Expression": "all - callers", "ReturnData": False},
        ),
        VETO: {**veto_metric(env, config), **FIRES_AT_ONCE},
        **{each.name: _custom(each, env, config) for each in env.alarms.custom},
    }
    return tuple(_alarm(env, config, what, rule) for what, rule in rules.items())


def _share(rule: ShareRule, *metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an alarm on the share of bad requests, by the metrics `bad` and `requests`."""
    expected = f"{_decimal(rule.promised)} * requests"
    allowed = f"{expected} + {_decimal(rule.deviations)} * ({expected}) ^ 0.5 + {_decimal(rule.skew)}"
    enough = f"bad > {LEAST_BAD - 0.5}"  # half a request less: by a percentage `bad` is no whole number
    share = {"Id": "share", "Expression": f"IF({enough} AND bad > {allowed}, bad / requests, 0)"}
    return {
        "Metrics": [*metrics, share | {"ReturnData": True}],
        "EvaluationPeriods": rule.evaluation_periods,
        "DatapointsToAlarm": rule.datapoints_to_alarm,
        "Threshold": rule.promised,
    }


def _decimal(value: float) -> str:
    """Write a number without an exponent, which the guide's syntax of metric math does not show."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _custom(alarm: CustomAlarm, env: Environment, config: str) -> dict[str, Any]:
    watched = {"EndpointName": env.endpoint.name, "VariantName": env.endpoint.variant}
    needed, of = env.alarms.datapoints_of(alarm)
    if alarm.scope == "new_fleet":
        watched["EndpointConfigName"] = config
    return {
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric,
        "Dimensions": dimensions({**watched, **alarm.dimensions}),
        **statistic(alarm.statistic),
        **(_LOW_SAMPLES[alarm.low_samples] if alarm.statistic.startswith("p") else {}),
        "Period": alarm.period_seconds or env.alarms.period_seconds,
        "EvaluationPeriods": of,
        "DatapointsToAlarm": needed,
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


def _stat(query: str, metric: str, name: str, env: Environment, config: str) -> dict[str, Any]:
    stat = {"Metric": _metric(metric, env, config), "Period": env.alarms.period_seconds, "Stat": name}
    return {"Id": query, "MetricStat": stat, "ReturnData": False}


def _alarm(env: Environment, config: str, what: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": f"{alarm_prefix(env)}{config}/{what}",
        "AlarmDescription": f"Rolls back the deployment of {config}; made by the pipeline.",
        "ActionsEnabled": False,  # SageMaker reads the state; an action is not needed
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **rule,
    }


def plan_alarms(env: Environment, config: str, existing: Mapping[str, Mapping[str, Any]]) -> tuple[Call, ...]:
    """List the calls that put each alarm of `config` that is missing or differs."""
    return plan_puts(alarms_of(env, config), existing)


def plan_puts(
    alarms: Iterable[dict[str, Any]], existing: Mapping[str, Mapping[str, Any]]
) -> tuple[Call, ...]:
    """List the calls that put each of these alarms that is missing or differs."""
    return tuple(
        Call("cloudwatch", "put_metric_alarm", alarm, f"put alarm {alarm['AlarmName']}")
        for alarm in alarms
        if not contains(alarm, existing.get(alarm["AlarmName"], {}))
    )


def plan_removal(env: Environment, config: str, existing: Mapping[str, Any]) -> tuple[Call, ...]:
    """List the call that deletes the alarms of every other config of this endpoint."""
    wanted = {alarm["AlarmName"] for alarm in alarms_of(env, config)}
    stale = sorted(name for name in existing if name not in wanted and not name.startswith(live_prefix(env)))
    if not stale:
        return ()
    says = f"delete {len(stale)} alarms of earlier fleets of {env.endpoint.name}"
    return (Call("cloudwatch", "delete_alarms", {"AlarmNames": stale}, says),)
