"""Alarm rules: read PutMetricAlarm requests, and refuse what is not imitated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError

from local_aws.cloudwatch.buckets import significant_samples
from local_aws.cloudwatch.evaluation import OPERATORS, TREATMENTS, Threshold
from local_aws.cloudwatch.limits import check_period
from local_aws.cloudwatch.queries import BadQueryError, Query, parse_queries

Request = Mapping[str, Any]
NOT_IMITATED = (
    *("ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria"),
    *("EvaluationInterval", "ActionConfiguration"),
    *("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"),
)


@dataclass(frozen=True)
class AlarmRule:
    """The queries of an alarm, the judged one, and its threshold.

    `least_samples`: with fewer in the evaluated periods the state stays (EvaluateLowSampleCountPercentile=ignore).
    """

    queries: tuple[Query, ...]
    watched: Query
    threshold: Threshold
    least_samples: float = 0.0


def refuse_what_is_not_imitated(request: Request) -> None:
    """Raise ValidationError for fields of PutMetricAlarm or PutCompositeAlarm that would be ignored here."""
    for field in NOT_IMITATED:
        if request.get(field) is not None:
            raise ValidationError(f"{field} of an alarm is not imitated by this local AWS.")
    percentile = request.get("EvaluateLowSampleCountPercentile")
    if percentile not in (None, "evaluate", "ignore"):
        raise ValidationError(
            f"Option {percentile} is not supported. "
            "Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore."
        )
    if percentile == "ignore" and request.get("Metrics"):
        raise ValidationError("EvaluateLowSampleCountPercentile=ignore of metric math is not imitated here.")


def rule_of(request: Request) -> AlarmRule:
    """Read the rule of a PutMetricAlarm request. Raises moto's CloudWatch errors."""
    if request.get("Metrics") and request.get("MetricName"):
        raise InvalidParameterCombination("The parameters Metrics and MetricName are mutually exclusive.")
    try:
        queries = parse_queries(request.get("Metrics") or [_single_metric(request)], "Metrics")
    except BadQueryError as error:
        raise InvalidParameterValue(str(error)) from error
    watched = [query for query in queries if query.return_data]
    if len(watched) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")
    threshold = _threshold_of(request)
    check_period(watched[0].period, threshold.evaluation_periods)
    ignores_few = request.get("EvaluateLowSampleCountPercentile") == "ignore"
    least = significant_samples(watched[0].statistic) if ignores_few else 0.0
    return AlarmRule(queries, watched[0], threshold, least)


def _single_metric(request: Request) -> Request:
    if not all(request.get(name) for name in ("MetricName", "Namespace", "Period")):
        raise ValidationError("A metric alarm needs Namespace, MetricName and Period, or Metrics.")
    statistic, extended = request.get("Statistic"), request.get("ExtendedStatistic")
    if bool(statistic) == bool(extended):
        raise InvalidParameterCombination("Specify either Statistic or ExtendedStatistic.")
    stat = {"Metric": request, "Stat": statistic or extended}
    return {"Id": "m1", "MetricStat": stat | {name: request.get(name) for name in ("Period", "Unit")}}


def _threshold_of(request: Request) -> Threshold:
    comparison, value = request.get("ComparisonOperator"), request.get("Threshold")
    if comparison not in OPERATORS:
        raise ValidationError(
            f"ComparisonOperator {comparison} is not imitated; use one of {', '.join(OPERATORS)}."
        )
    if value is None:
        raise ValidationError("A metric alarm needs a Threshold.")
    treatment = request.get("TreatMissingData") or "missing"
    if treatment not in TREATMENTS:
        known = ", ".join(TREATMENTS)
        raise ValidationError(f"Option {treatment} is not supported for TreatMissingData: {known}.")
    periods = int(request.get("EvaluationPeriods") or 0)
    wanted = int(request.get("DatapointsToAlarm") or periods)
    if not 1 <= wanted <= periods:
        raise ValidationError("DatapointsToAlarm must be at least 1 and at most EvaluationPeriods.")
    return Threshold(comparison, float(value), periods, wanted, treatment)
