"""Queries of clients and alarms: metric statistics, and metric math over them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.cloudwatch.buckets import is_statistic
from local_aws.cloudwatch.metric_math import BadExpressionError, Formula, Points
from local_aws.cloudwatch.store import MetricKey, MetricStore, is_period

_ID = re.compile(r"[a-z]\w*", re.ASCII)


class BadQueryError(ValueError):
    """A query that cannot be answered; the message gives the reason."""


@dataclass(frozen=True)
class Query:
    """One element of `MetricDataQueries` (or of an alarm's `Metrics`): a statistic or an expression."""

    id: str
    period: int
    key: MetricKey | None = None
    statistic: str = ""
    unit: str | None = None
    formula: Formula | None = None
    label: str = ""
    return_data: bool = True


def parse_queries(members: Iterable[Mapping[str, Any]], field: str) -> tuple[Query, ...]:
    """Read the queries in a request's `field` as botocore's model has parsed them. Raises BadQueryError."""
    members = tuple(members)
    for number, member in enumerate(members, 1):
        if "MetricStat" not in member and not member.get("Expression"):
            raise BadQueryError(f"The parameter {field}.member.{number}.MetricStat is required.\n")
    periods = {int(member["MetricStat"]["Period"]) for member in members if "MetricStat" in member}
    if len(periods) != 1 and any("MetricStat" not in member for member in members):
        raise BadQueryError("An expression needs metrics, all of one period.")
    queries = tuple(parse_query(member, *periods) for member in members)
    if len({query.id for query in queries}) != len(queries):
        raise BadQueryError("The values for parameter id in MetricDataQueries are not unique.")
    _in_order(queries)
    return queries


def parse_query(member: Mapping[str, Any], *periods: int) -> Query:
    """Read one element; an expression's period is the one of `periods`. Raises BadQueryError."""
    shown, id_ = member.get("ReturnData", True), member["Id"]
    if not _ID.fullmatch(id_):
        raise BadQueryError(f"Id {id_!r} must be letters, digits and _, the first a lower-case letter.")
    if "MetricStat" not in member:
        formula, label = _formula(member["Expression"]), member.get("Label") or id_
        return Query(id_, periods[0], formula=formula, label=label, return_data=shown)
    wanted, metric = member["MetricStat"], member["MetricStat"]["Metric"]
    period, statistic, unit = int(wanted["Period"]), wanted["Stat"], wanted.get("Unit")
    if not is_period(period):
        raise BadQueryError(f"Period {period} is not imitated: use 5, 10, 20, 30 or a multiple of 60.")
    if not is_statistic(statistic):
        known = "SampleCount, Average, Sum, Minimum, Maximum, pNN, PR(a:b) or TC(a:b)"
        raise BadQueryError(f"Statistic {statistic!r} is not imitated: use {known}.")
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions") or ()}
    key = MetricKey.of(metric["Namespace"], metric["MetricName"], dimensions)
    label = member.get("Label") or f"{key.name} {statistic}"
    unit = None if unit == "None" else unit
    return Query(id_, period, key, statistic, unit, label=label, return_data=shown)


def _formula(expression: str) -> Formula:
    try:
        return Formula.read(expression)
    except BadExpressionError as error:
        raise BadQueryError(str(error)) from error


def _in_order(queries: Iterable[Query]) -> list[Query]:
    """Sort metrics first, then each expression after its operands. Raises BadQueryError for a cycle."""
    ordered: list[Query] = []
    waiting = list(queries)
    while waiting:
        known = {query.id for query in ordered}
        ready = [query for query in waiting if query.formula is None or query.formula.names <= known]
        if not ready:
            raise BadQueryError(f"Expression {waiting[0].id!r} uses an id that no query defines.")
        ordered += ready
        waiting = [query for query in waiting if query not in ready]
    return ordered


def answer(
    store: MetricStore, queries: Iterable[Query], span: Callable[[int], tuple[int, int]], phase: int = 0
) -> dict[str, Points]:
    """Answer queries that `parse_queries` has accepted; `span` gives first and last period number of a period.

    `phase`: AWS seconds by which the periods start later than multiples of their length.
    """
    answers: dict[str, Points] = {}
    for query in _in_order(queries):
        if query.formula is not None:
            answers[query.id] = query.formula.combine(answers)
        else:
            answers[query.id] = _read(store, query, *span(query.period), phase)
    return answers


def _read(store: MetricStore, query: Query, first: int, last: int, phase: int) -> Points:
    series = store.find(query.key) if query.key else None
    if series is None or query.unit not in (None, series.unit):
        return {}
    buckets = sorted(series.delivered(query.period, first, last, phase).items())
    values = {number: bucket.statistic(query.statistic) for number, bucket in buckets}
    return {number: value for number, value in values.items() if value is not None}
