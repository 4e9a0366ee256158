"""What a client or an alarm asks of the store: metric statistics and arithmetic over them.

Metric math as far as it is imitated: numbers, ids of other queries, + - * / and brackets. Functions, SEARCH
and SQL are refused.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.cloudwatch.buckets import is_statistic
from local_aws.cloudwatch.store import MetricKey, MetricStore, is_period

Points = dict[int, float]
"""Values by number of their period."""


class BadQueryError(ValueError):
    """The question cannot be answered; the message says why."""


@dataclass(frozen=True)
class Query:
    """One element of `MetricDataQueries` (or of an alarm's `Metrics`): a statistic or an expression."""

    id: str
    period: int
    key: MetricKey | None = None
    statistic: str = ""
    unit: str | None = None
    expression: str | None = None
    label: str = ""
    return_data: bool = True


def metric_query(
    id_: str,
    *,
    namespace: str,
    name: str,
    dimensions: Iterable[Mapping[str, str]],
    period: int,
    statistic: str,
    unit: str | None = None,
    label: str | None = None,
    return_data: bool = True,
) -> Query:
    """Ask for one statistic of one metric. Raises BadQueryError."""
    if not is_period(period):
        raise BadQueryError(f"Period {period} is not imitated: use 5, 10, 20, 30 or a multiple of 60.")
    if not is_statistic(statistic):
        raise BadQueryError(
            f"Statistic {statistic!r} is not imitated: use SampleCount, Average, Sum, Minimum, Maximum or pNN."
        )
    key = MetricKey.of(namespace, name, {d["Name"]: d["Value"] for d in dimensions})
    unit = None if unit == "None" else unit
    return Query(id_, period, key, statistic, unit, None, label or f"{name} {statistic}", return_data)


def parse_queries(members: Iterable[Mapping[str, Any]]) -> tuple[Query, ...]:
    """Read `MetricDataQueries` as botocore's model has parsed them. Raises BadQueryError."""
    members = tuple(members)
    queries = tuple(_parse_metric(member) for member in members if "MetricStat" in member)
    periods = {query.period for query in queries}
    expressions = [member for member in members if "MetricStat" not in member]
    if expressions and len(periods) != 1:
        raise BadQueryError("An expression needs metrics, all of one period.")
    parsed = {query.id: query for query in queries}
    parsed |= {m["Id"]: _parse_expression(m, max(periods)) for m in expressions}
    if len(parsed) != len(members):
        raise BadQueryError("The values for parameter id in MetricDataQueries are not unique.")
    _in_order(parsed.values())
    return tuple(parsed[member["Id"]] for member in members)


def _in_order(queries: Iterable[Query]) -> list[Query]:
    """List metrics first, then each expression after what it uses. Raises BadQueryError when none is left to."""
    ordered = [query for query in queries if query.key is not None]
    waiting = [query for query in queries if query.key is None]
    while waiting:
        known = {query.id for query in ordered}
        ready = [query for query in waiting if _names(query.expression) <= known]
        if not ready:
            raise BadQueryError(f"Expression {waiting[0].expression!r} uses an id that no query defines.")
        ordered += ready
        waiting = [query for query in waiting if query not in ready]
    return ordered


def _parse_metric(member: Mapping[str, Any]) -> Query:
    wanted, metric = member["MetricStat"], member["MetricStat"]["Metric"]
    return metric_query(
        member["Id"],
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions=metric.get("Dimensions", ()),
        period=int(wanted["Period"]),
        statistic=wanted["Stat"],
        unit=wanted.get("Unit"),
        label=member.get("Label"),
        return_data=member.get("ReturnData", True),
    )


def _parse_expression(member: Mapping[str, Any], period: int) -> Query:
    if not member.get("Expression"):
        raise BadQueryError(f"Query {member['Id']!r} needs a MetricStat or an Expression.")
    _compile(member["Expression"])
    label = member.get("Label") or member["Id"]
    shown = member.get("ReturnData", True)
    return Query(member["Id"], period, expression=member["Expression"], label=label, return_data=shown)


def read_statistic(store: MetricStore, query: Query, first: int, last: int) -> Points:
    """Answer a metric query for the periods numbered `first` up to and without `last`."""
    assert query.key is not None
    series = store.find(query.key)
    if series is None or (query.unit and query.unit != series.unit):
        return {}
    buckets = series.buckets(query.period, first, last)
    values = {number: buckets[number].statistic(query.statistic) for number in sorted(buckets)}
    return {number: value for number, value in values.items() if value is not None}


def answer(
    store: MetricStore, queries: Iterable[Query], span: Callable[[int], tuple[int, int]]
) -> dict[str, Points]:
    """Answer queries that `parse_queries` has accepted; `span` gives first and last period number of a period."""
    answers: dict[str, Points] = {}
    for query in _in_order(tuple(queries)):
        if query.key is not None:
            answers[query.id] = read_statistic(store, query, *span(query.period))
        else:
            answers[query.id] = _combine(query.expression or "", answers)
    return answers


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _combine(expression: str, answers: Mapping[str, Points]) -> Points:
    tree, names = _compile(expression), _names(expression)
    shared = set.intersection(*(set(answers[name]) for name in names)) if names else set()
    points = {n: _evaluate(tree, {name: answers[name][n] for name in names}) for n in sorted(shared)}
    return {n: value for n, value in points.items() if value is not None and math.isfinite(value)}


def _compile(expression: str) -> ast.expr:
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise BadQueryError(f"Expression {expression!r} cannot be read: {error.msg}.") from error
    allowed = (ast.BinOp, ast.UnaryOp, ast.USub, ast.Name, ast.Load, ast.Constant, *_OPERATORS)
    for node in ast.walk(tree):
        number = not isinstance(node, ast.Constant) or type(node.value) in (int, float)
        if not isinstance(node, allowed) or not number:
            raise BadQueryError(
                f"Expression {expression!r} is not imitated: only ids, numbers, + - * / and ()."
            )
    return tree


def _names(expression: str | None) -> set[str]:
    return {node.id for node in ast.walk(_compile(expression or "")) if isinstance(node, ast.Name)}


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> float | None:
    """Value of one point; None for a division by zero, which CloudWatch leaves out."""
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            value = _evaluate(operand, values)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right):
            one, two = _evaluate(left, values), _evaluate(right, values)
            if one is None or two is None or (isinstance(op, ast.Div) and two == 0):
                return None
            return _OPERATORS[type(op)](one, two)
    raise AssertionError(f"{ast.dump(node)} passed _compile")
