"""From the fields of PutMetricAlarm to what an alarm watches and when it breaches; or a refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Alarm, MetricDataQuery

from local_aws.cloudwatch.evaluation import OPERATORS, TREATMENTS, Threshold
from local_aws.cloudwatch.queries import BadQueryError, Query, metric_query, parse_queries

NOT_IMITATED = (
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
)


@dataclass(frozen=True)
class AlarmRule:
    """The queries an alarm runs, the one of them that it judges, and its threshold."""

    queries: tuple[Query, ...]
    watched: Query
    threshold: Threshold


def refuse_what_is_not_imitated(request: Mapping[str, Any]) -> None:
    """Raise ValidationError for fields of PutMetricAlarm that would be ignored here."""
    for field in NOT_IMITATED:
        if request.get(field) is not None:
            raise ValidationError(f"{field} of PutMetricAlarm is not imitated by this local AWS.")
    if request.get("EvaluateLowSampleCountPercentile") == "ignore":
        raise ValidationError("EvaluateLowSampleCountPercentile=ignore is not imitated by this local AWS.")


def rule_of(alarm: Alarm) -> AlarmRule:
    """Read the rule of an alarm that moto has parsed. Raises moto's CloudWatch errors."""
    try:
        queries, watched = _queries_of(alarm)
    except BadQueryError as error:
        raise InvalidParameterValue(str(error)) from error
    return AlarmRule(queries, watched, _threshold_of(alarm))


def _queries_of(alarm: Alarm) -> tuple[tuple[Query, ...], Query]:
    if not alarm.metric_data_queries:
        query = _single_metric(alarm)
        return (query,), query
    if alarm.metric_name:
        raise InvalidParameterCombination("The parameters Metrics and MetricName are mutually exclusive.")
    queries = parse_queries(_as_request(alarm.metric_data_queries))
    watched = [query for query in queries if query.return_data]
    if len(watched) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")
    return queries, watched[0]


def _single_metric(alarm: Alarm) -> Query:
    if not alarm.metric_name or not alarm.namespace or not alarm.period:
        raise ValidationError("A metric alarm needs Namespace, MetricName and Period, or Metrics.")
    if bool(alarm.statistic) == bool(alarm.extended_statistic):
        raise InvalidParameterCombination("Specify either Statistic or ExtendedStatistic.")
    return metric_query(
        "m1",
        namespace=alarm.namespace,
        name=alarm.metric_name,
        dimensions=[{"Name": d.name, "Value": d.value} for d in alarm.dimensions],
        period=int(alarm.period),
        statistic=alarm.statistic or alarm.extended_statistic,
        unit=alarm.unit,
    )


def _as_request(queries: Sequence[MetricDataQuery]) -> list[dict[str, Any]]:
    return [
        {
            "Id": query.id,
            "ReturnData": query.return_data is not False,
            **({"Expression": query.expression} if query.expression else {}),
            **({"MetricStat": _stat_request(query)} if query.metric_stat else {}),
        }
        for query in queries
    ]


def _stat_request(query: MetricDataQuery) -> dict[str, Any]:
    stat = query.metric_stat
    metric = stat.metric
    return {
        "Metric": {
            "Namespace": metric.namespace,
            "MetricName": metric.metric_name,
            "Dimensions": [{"Name": d.name, "Value": d.value} for d in metric.dimensions],
        },
        "Period": stat.period,
        "Stat": stat.stat,
        "Unit": stat.unit,
    }


def _threshold_of(alarm: Alarm) -> Threshold:
    if alarm.comparison_operator not in OPERATORS:
        raise ValidationError(
            f"ComparisonOperator {alarm.comparison_operator} is not imitated; use one of {', '.join(OPERATORS)}."
        )
    if alarm.threshold is None:
        raise ValidationError("A metric alarm needs a Threshold.")
    treatment = alarm.treat_missing_data or "missing"
    if treatment not in TREATMENTS:
        raise ValidationError(
            f"Option {treatment} is not supported for TreatMissingData: {', '.join(TREATMENTS)}."
        )
    periods = int(alarm.evaluation_periods or 0)
    wanted = int(alarm.datapoints_to_alarm or periods)
    if not 1 <= wanted <= periods:
        raise ValidationError("DatapointsToAlarm must be at least 1 and at most EvaluationPeriods.")
    return Threshold(alarm.comparison_operator, float(alarm.threshold), periods, wanted, treatment)
