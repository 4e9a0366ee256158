"""Metrics and alarms for tests of CloudWatch, and a clock moved by hand."""

from datetime import UTC, datetime
from typing import Any

from local_aws.clock import Clock

SCALE = 60.0


class HandClock(Clock):
    """A clock that moves when told to."""

    def __init__(self, at: float, scale: float = SCALE) -> None:
        super().__init__(scale)
        self.at = at

    def now(self) -> float:
        return self.at


def when(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def metric(name: str = "Latency", stat: str = "Sum", id_: str = "m1", **more: Any) -> dict[str, Any]:
    spec = {"Namespace": "Digits", "MetricName": name, "Dimensions": [{"Name": "Variant", "Value": "A"}]}
    return {"Id": id_, "MetricStat": {"Metric": spec, "Period": 60, "Stat": stat}} | more


def alarm(name: str = "slow", **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "Digits",
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Variant", "Value": "A"}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
    } | more


def composite(cloudwatch: Any, name: str, rule: str, **more: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule, **more)
