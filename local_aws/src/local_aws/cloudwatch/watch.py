"""Judge a metric alarm's rule by the datapoints in the store.

Source: "Alarm evaluation" in the CloudWatch guide. An alarm is judged every minute, by the periods that end with it: a
longer period slides. At high resolution it is judged when each period ends; beyond a day, once an hour.
"""

import math

from local_aws.cloudwatch.evaluation import EXTRA_PERIODS, Datapoint, Judgement, judge
from local_aws.cloudwatch.limits import DAY_SECONDS, HOUR_SECONDS
from local_aws.cloudwatch.queries import answer
from local_aws.cloudwatch.rules import AlarmRule
from local_aws.cloudwatch.store import BLOCK_SECONDS, MetricStore


def look_seconds(rule: AlarmRule) -> int:
    """Return the AWS seconds between two judgements of a rule."""
    period = rule.watched.period
    if period * rule.threshold.evaluation_periods > DAY_SECONDS:
        return HOUR_SECONDS
    return min(period, BLOCK_SECONDS)


def judge_rule(store: MetricStore, rule: AlarmRule, look: int, state: str) -> Judgement | None:
    """Judge a rule once the look of this number (of `look_seconds` each) is over; `state` is the alarm's now.

    None when the evaluated periods have too few samples for a percentile: then the state stays as it is.
    """
    period = rule.watched.period
    end = (look + 1) * look_seconds(rule)
    phase, last = end % period, end // period
    late = max(store.delay_of(query.key) for query in rule.queries if query.key)
    first = last - rule.threshold.evaluation_periods - EXTRA_PERIODS - math.ceil(late / period)
    values = answer(store, rule.queries, lambda _: (first, last), phase)[rule.watched.id]
    starts = {number: store.shown(store.period_start(period, number, phase)) for number in range(first, last)}
    points = [Datapoint(at, values.get(number)) for number, at in starts.items()]
    judgement = judge(rule.threshold, points, state)
    if rule.least_samples:
        evaluated = {point.at for point in judgement.evaluated}
        numbers = [number for number, at in starts.items() if at in evaluated]
        if _samples(store, rule, numbers, phase) < rule.least_samples:
            return None
    return judgement


def _samples(store: MetricStore, rule: AlarmRule, numbers: list[int], phase: int) -> float:
    series = store.find(rule.watched.key) if rule.watched.key else None
    if series is None or not numbers:
        return 0.0
    buckets = series.delivered(rule.watched.period, numbers[0], numbers[-1] + 1, phase)
    return sum(buckets[number].count for number in numbers)
