"""The scaling state of an endpoint: its alarms, and the metric that its policy tracks."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import boto3
from botocore.config import Config

CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
POLICIES_SECONDS = 15.0  # DescribeScalingPolicies allows few calls; policies change seldom
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class TrackedMetric:
    """The metric of a policy, its last value, and the target above which the policy scales out.

    `value` is None while CloudWatch has none; both are in the metric's own unit.
    """

    metric: str
    target: float
    value: float | None


@dataclass(frozen=True)
class ScalingState:
    """`alarms`: state (OK, ALARM, INSUFFICIENT_DATA) by name; `tracked` is None without a policy."""

    alarms: Mapping[str, str] = field(default_factory=dict)
    tracked: TrackedMetric | None = None


class ScalingReader:
    """Reader of one endpoint's scaling state. Raises BotoCoreError or ClientError when AWS does not answer."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._autoscaling = boto3.client("application-autoscaling", config=CONFIG)
        self._cloudwatch = boto3.client("cloudwatch", config=CONFIG)
        self._policy_alarms: list[str] = []
        self._policies_valid_until = 0.0

    def read(self) -> ScalingState:
        """Read the alarms of the endpoint's policies and of deployments, and the tracked metric."""
        self._read_policies()
        alarms = self._describe_alarms(AlarmNames=self._policy_alarms) if self._policy_alarms else []
        found = self._scale_out_alarm(alarms)
        rollback = self._describe_alarms(AlarmNamePrefix=f"{self._endpoint}/")
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in [*alarms, *rollback]}
        return ScalingState(states, None if found is None else self._tracked(found))

    def _read_policies(self) -> None:
        if time.monotonic() < self._policies_valid_until:
            return
        pages = self._autoscaling.get_paginator("describe_scaling_policies").paginate(
            ServiceNamespace="sagemaker"
        )
        self._policy_alarms = [
            alarm["AlarmName"]
            for page in pages
            for policy in page["ScalingPolicies"]
            if policy["ResourceId"].startswith(f"endpoint/{self._endpoint}/")
            for alarm in policy.get("Alarms", [])
        ]
        self._policies_valid_until = time.monotonic() + POLICIES_SECONDS

    def _describe_alarms(self, **selection: Any) -> list[dict[str, Any]]:
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmTypes=["MetricAlarm"], **selection
        )
        return [alarm for page in pages for alarm in page["MetricAlarms"]]

    @staticmethod
    def _scale_out_alarm(alarms: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        high = (alarm for alarm in alarms if alarm["ComparisonOperator"].startswith("GreaterThan"))
        return min(high, key=lambda alarm: str(alarm["AlarmName"]), default=None)

    def _tracked(self, alarm: Mapping[str, Any]) -> TrackedMetric:
        now = datetime.now(UTC)
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=queries(alarm),
            StartTime=now - WINDOW,
            EndTime=now,
            ScanBy="TimestampDescending",
        )
        found = answer["MetricDataResults"][0]
        value = last_complete(
            [at.timestamp() for at in found["Timestamps"]], found["Values"], now.timestamp()
        )
        return TrackedMetric(alarm.get("MetricName", "metric math"), float(alarm["Threshold"]), value)


def last_complete(starts: Sequence[float], values: Sequence[float], now: float) -> float | None:
    """Return the value of the newest complete period; the sum of a running period still grows.

    `starts`: of the periods, epoch s, newest first. The period's length is the shortest distance between two
    starts, since where time is scaled it is shorter than requested. A single period counts as complete.
    """
    if len(values) < 2:
        return float(values[0]) if values else None
    period = min(younger - older for younger, older in pairwise(starts))
    return float(values[0] if starts[0] + period <= now else values[1])


def queries(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the GetMetricData queries that give the values this alarm evaluates."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions")}
    statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    return [{"Id": "tracked", "MetricStat": {"Metric": metric, "Period": alarm["Period"], "Stat": statistic}}]
