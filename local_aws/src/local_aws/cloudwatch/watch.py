"""Judge a metric alarm's rule by the datapoints in the store."""

import math

from local_aws.cloudwatch.evaluation import EXTRA_PERIODS, Datapoint, Judgement, judge
from local_aws.cloudwatch.queries import answer
from local_aws.cloudwatch.rules import AlarmRule
from local_aws.cloudwatch.store import MetricStore


def judge_rule(store: MetricStore, rule: AlarmRule, ended: int, state: str) -> Judgement | None:
    """Judge a rule once period number `ended` is over; `state` is the alarm's now.

    None when the evaluated periods have too few samples for a percentile: then the state stays as it is.
    """
    period = rule.watched.period
    late = max(store.delay_of(query.key) for query in rule.queries if query.key)
    first = ended + 1 - rule.threshold.evaluation_periods - EXTRA_PERIODS - math.ceil(late / period)
    values = answer(store, rule.queries, lambda _: (first, ended + 1))[rule.watched.id]
    numbers = range(first, ended + 1)
    points = [
        Datapoint(store.shown(store.period_start(period, number)), values.get(number)) for number in numbers
    ]
    judgement = judge(rule.threshold, points, state)
    if rule.least_samples:
        evaluated = [n for n, point in zip(numbers, points, strict=True) if point in judgement.evaluated]
        if _samples(store, rule, evaluated) < rule.least_samples:
            return None
    return judgement


def _samples(store: MetricStore, rule: AlarmRule, numbers: list[int]) -> float:
    series = store.find(rule.watched.key) if rule.watched.key else None
    if series is None or not numbers:
        return 0.0
    buckets = series.delivered(rule.watched.period, numbers[0], numbers[-1] + 1)
    return sum(buckets[number].count for number in numbers)
