"""The CloudWatch actions that read this store, in every protocol that moto parses.

Differences from AWS that a client can notice: a `Period` lasts Period ÷ time scale seconds of wall clock, and
Timestamps, StartTime and EndTime are wall clock, so datapoints stand closer together; therefore neither the
limit of 1,440 datapoints nor MaxDatapoints paging is imposed. botocore sends StartTime and EndTime in whole
seconds: ask up to a second later than now to get the newest datapoint. The period that is still running is
part of the answer, as on AWS.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from local_aws.cloudwatch.alarm import Alarm
from local_aws.cloudwatch.backend import StoreBackend, _epoch
from local_aws.cloudwatch.buckets import SIMPLE_STATISTICS, is_extended_statistic
from local_aws.cloudwatch.limits import ACTIONS, check_model
from local_aws.cloudwatch.queries import BadQueryError, Query, answer, parse_queries, parse_query
from local_aws.cloudwatch.rules import AlarmRule
from local_aws.cloudwatch.store import MetricStore, Series

LIST_PAGE = 500
HISTORY_PAGE = ALARM_PAGE = 100
ALARM_KINDS = ("MetricAlarm", "CompositeAlarm")
FILTERS: dict[str, Callable[[Alarm, Any], bool]] = {
    "AlarmTypes": lambda alarm, kinds: alarm.kind in kinds,
    "AlarmNames": lambda alarm, names: alarm.name in names,
    "AlarmNamePrefix": lambda alarm, prefix: alarm.name.startswith(prefix),
    "StateValue": lambda alarm, state: alarm.state_value == state,
    "ActionPrefix": lambda alarm, prefix: any(
        action.startswith(prefix) for name in ACTIONS.values() for action in alarm.request.get(name) or ()
    ),
    "ParentsOfAlarmName": lambda alarm, name: alarm.depends_on(name),
}
ACTIVE_SECONDS = 3 * 3600  # RecentlyActive=PT3H


class StoreResponse(CloudWatchResponse):  # type: ignore[misc]  # moto is untyped here
    """One request to CloudWatch."""

    @property
    def _backend(self) -> StoreBackend:
        backend = self.cloudwatch_backend
        assert isinstance(backend, StoreBackend)
        return backend

    def put_metric_data(self) -> ActionResult:
        """Store a client's data."""
        check_model("PutMetricData", self._get_params())
        return super().put_metric_data()

    def put_metric_alarm(self) -> ActionResult:
        """Create or replace an alarm on a metric or on metric math."""
        check_model("PutMetricAlarm", self._get_params())
        self._backend.put_alarm(self._get_params())
        return EmptyResult()

    def put_composite_alarm(self) -> ActionResult:
        """Create or replace an alarm on the states of others."""
        check_model("PutCompositeAlarm", self._get_params())
        self._backend.put_alarm(self._get_params())
        return EmptyResult()

    def describe_alarms(self) -> ActionResult:
        """List alarms, metric alarms alone unless AlarmTypes says otherwise; the filters may be combined."""
        request = {"AlarmTypes": ["MetricAlarm"]} | self._get_params()
        found = self._backend.alarms.values()
        for name in FILTERS.keys() & request.keys():
            found = tuple(alarm for alarm in found if FILTERS[name](alarm, request[name]))
        if parent := request.get("ChildrenOfAlarmName"):
            above = self._backend.alarms.get(parent)
            found = tuple(alarm for alarm in found if above is not None and above.depends_on(alarm.name))
        page, token = _page(
            list(found), int(request.get("MaxRecords") or ALARM_PAGE), request.get("NextToken")
        )
        lists = {f"{kind}s": [a.described() for a in page if a.kind == kind] for kind in ALARM_KINDS}
        return ActionResult({**lists, "NextToken": token})

    def describe_alarms_for_metric(self) -> ActionResult:
        """List the alarms on exactly one metric."""
        query = self._statistics_query()
        found = [
            alarm.described()
            for alarm in self._backend.alarms.values()
            if isinstance(alarm.rule, AlarmRule) and alarm.rule.watched.key == query.key
        ]
        return ActionResult({"MetricAlarms": found})

    def get_metric_data(self) -> ActionResult:
        """Answer metric statistics and arithmetic over them."""
        request = self._get_params()
        start, end = _span(request)
        if start == end:
            raise ValidationError("The parameter StartTime must not equal parameter EndTime.")
        if start > end:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        store = self._backend.store
        try:
            queries = parse_queries(request.get("MetricDataQueries", ()), "MetricDataQueries")
            answers = answer(store, queries, lambda period: _periods(store, period, start, end))
        except BadQueryError as error:
            raise ValidationError(str(error)) from error
        newest_first = request.get("ScanBy") != "TimestampAscending"
        results = [
            _result(store, query, sorted(answers[query.id].items(), reverse=newest_first))
            for query in queries
            if query.return_data
        ]
        return ActionResult({"MetricDataResults": results, "Messages": []})

    def get_metric_statistics(self) -> ActionResult:
        """Answer several statistics of one metric, percentiles included."""
        request = self._get_params()
        simple, extended = request.get("Statistics") or [], request.get("ExtendedStatistics") or []
        if not simple and not extended:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        unknown = set(simple) - set(SIMPLE_STATISTICS) | {n for n in extended if not is_extended_statistic(n)}
        if unknown:
            raise InvalidParameterValue(f"Statistic {unknown.pop()} is not imitated by this local AWS.")
        start, end = _span(request)
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        query = self._statistics_query()
        series = self._backend.store.find(query.key) if query.key else None
        points = []
        if series is not None and query.unit in (None, series.unit):
            periods = _periods(self._backend.store, query.period, start, end)
            for number, bucket in sorted(series.delivered(query.period, *periods).items()):
                point: dict[str, Any] = {name: bucket.statistic(name) for name in simple}
                point |= {"Timestamp": _when(self._backend.store, query, number), "Unit": series.unit}
                if extended:
                    known = {name: bucket.statistic(name) for name in extended}
                    point["ExtendedStatistics"] = {n: v for n, v in known.items() if v is not None}
                points.append(point)
        return ActionResult({"Label": request["MetricName"], "Datapoints": points})

    def _statistics_query(self) -> Query:
        """Build the query that GetMetricStatistics or DescribeAlarmsForMetric describes."""
        request = self._get_params()
        stat = {"Period": 60, **request, "Metric": request, "Stat": "Sum"}
        try:
            return parse_query({"Id": "m1", "MetricStat": stat})
        except BadQueryError as error:
            raise InvalidParameterValue(str(error)) from error

    def list_metrics(self) -> ActionResult:
        """List the series, 500 a page; moto's own storage metrics of S3 are not among them."""
        request = self._get_params()
        store, since = self._backend.store, 0.0
        if request.get("RecentlyActive"):
            since = store.clock.now() - ACTIVE_SECONDS / store.clock.scale
        start = _position(request.get("NextToken"))
        page, after = store.page(
            start, LIST_PAGE, lambda series: series.newest() > since and _matches(series, request)
        )
        metrics = [
            {
                "Namespace": series.key.namespace,
                "MetricName": series.key.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in series.key.dimensions],
            }
            for series in page
        ]
        return ActionResult({"Metrics": metrics, "NextToken": None if after is None else str(after)})

    def describe_alarm_history(self) -> ActionResult:
        """List what happened to the alarms, newest first unless ScanBy says otherwise."""
        request = self._get_params()
        start, end = _epoch(request.get("StartDate")), _epoch(request.get("EndDate"))
        with self._backend.lock:
            items = list(self._backend.history)
        items = [
            item
            for item in items
            if request.get("AlarmName") in (None, item["AlarmName"])
            and item["AlarmType"] in (request.get("AlarmTypes") or ALARM_KINDS[:1])
            and request.get("HistoryItemType") in (None, item["HistoryItemType"])
            and (start is None or start <= item["Timestamp"].timestamp())
            and (end is None or item["Timestamp"].timestamp() <= end)
        ]
        if request.get("ScanBy") != "TimestampAscending":
            items.reverse()
        size = int(request.get("MaxRecords") or HISTORY_PAGE)
        page, token = _page(items, size, request.get("NextToken"))
        return ActionResult({"AlarmHistoryItems": page, "NextToken": token})


def _span(request: dict[str, Any]) -> tuple[float, float]:
    start, end = _epoch(request["StartTime"]), _epoch(request["EndTime"])
    assert start is not None
    assert end is not None
    return start, end


def _periods(store: MetricStore, period: int, start: float, end: float) -> tuple[int, int]:
    """Return the numbers of the first period and of the one after the last that starts before `end`.

    `start` and `end` are a client's.
    """
    start, end = store.meant(start), store.meant(end)
    return store.period_number(period, start), math.ceil(end * store.clock.scale / period)


def _result(store: MetricStore, query: Query, points: list[tuple[int, float]]) -> dict[str, Any]:
    return {
        "Id": query.id,
        "Label": query.label,
        "Timestamps": [_when(store, query, number) for number, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


def _when(store: MetricStore, query: Query, number: int) -> datetime:
    return datetime.fromtimestamp(store.shown(store.period_start(query.period, number)), UTC)


def _matches(series: Series, request: dict[str, Any]) -> bool:
    key = series.key
    if request.get("Namespace") not in (None, key.namespace):
        return False
    if request.get("MetricName") not in (None, key.name):
        return False
    own = dict(key.dimensions)
    return all(
        wanted["Name"] in own and wanted.get("Value") in (None, own[wanted["Name"]])
        for wanted in request.get("Dimensions") or ()
    )


def _page(items: list[Any], size: int, token: str | None) -> tuple[list[Any], str | None]:
    start = _position(token)
    return items[start : start + size], str(start + size) if start + size < len(items) else None


def _position(token: str | None) -> int:
    if token is not None and not token.isdigit():
        raise InvalidParameterValue("Request parameter NextToken is invalid")
    return int(token or 0)
