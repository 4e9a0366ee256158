"""Metric math: the tables of CloudWatch's guide, and refusals of what is not computed."""

import pytest

from local_aws.cloudwatch.metric_math import BadExpressionError, Formula, Points

GUIDE: dict[str, list[float | None]] = {
    "metric1": [30.0, 20.0, 0.0, 0.0],
    "metric2": [20.0, None, 20.0, None],
}
CHOICE: dict[str, list[float | None]] = {
    "metric1": [1.0, 1.0, 0.0, 0.0, None],
    "metric2": [30.0, None, 0.0, 0.0, 30.0],
    "metric3": [0.0, 0.0, 20.0, None, 20.0],
}


def series(values: list[float | None]) -> Points:
    return {number: value for number, value in enumerate(values) if value is not None}


def computed(expression: str, metrics: dict[str, list[float | None]]) -> Points:
    return Formula.read(expression).combine({name: series(values) for name, values in metrics.items()})


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("(metric1 < metric2)", [0.0, 0.0, 1.0, 0.0]),
        ("(metric1 >= 30)", [1.0, 0.0, 0.0, 0.0]),
        ("(metric1 > 15 AND metric2 > 15)", [1.0, 0.0, 0.0, 0.0]),
        ("metric1 > 15 && metric2 > 15", [1.0, 0.0, 0.0, 0.0]),
        ("metric1 > 25 || metric2 > 15", [1.0, 0.0, 1.0, 0.0]),
        ("metric1 != 0", [1.0, 1.0, 0.0, 0.0]),
    ],
)
def test_comparisons_are_those_of_the_guides_table(expression: str, wanted: list[float | None]) -> None:
    assert computed(expression, GUIDE) == series(wanted)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("IF(metric1, metric2, metric3)", [30.0, 0.0, 20.0, None, None]),
        ("IF(metric1, 5, metric3)", [5.0, 5.0, 20.0, None, None]),
        ("IF(metric1, metric2, 5)", [30.0, 0.0, 5.0, 5.0, None]),
        ("IF(metric1, metric2)", [30.0, 0.0, None, None, None]),
        ("IF(1, metric2, metric3)", [30.0, None, 0.0, 0.0, 30.0]),
        ("IF(0, metric2, metric3)", [0.0, 0.0, 20.0, None, 20.0]),
        ("IF(0, metric2)", []),
    ],
)
def test_if_is_that_of_the_guides_tables(expression: str, wanted: list[float | None]) -> None:
    assert computed(expression, CHOICE) == series(wanted)


def test_a_missing_datapoint_counts_as_zero_between_two_metrics_and_is_missing_beside_a_number() -> None:
    metrics: dict[str, list[float | None]] = {"a": [1.0, None, None], "b": [None, 2.0, None]}

    assert computed("a - b", metrics) == {0: 1.0, 1: -2.0}
    assert computed("a + 7", metrics) == {0: 8.0}


@pytest.mark.parametrize("expression", ["a / b", "b ^ (-1)", "(-a) ^ 0.5"])
def test_a_datapoint_without_a_finite_value_is_left_out(expression: str) -> None:
    assert computed(expression, {"a": [4.0], "b": [0.0]}) == {}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("2 + 3 * a ^ 2", 14.0),
        ("-a ^ 2", -4.0),
        ("2 ^ a ^ 0", 2.0),
        ("10 - a - 3", 5.0),
        ("12 / a / 3", 2.0),
        ("(1 + a) * 2", 6.0),
        ("a > 1 AND a < 1 OR a == 2", 1.0),
        ("a * 1.5e1", 30.0),
    ],
)
def test_operators_bind_as_in_arithmetic(expression: str, wanted: float) -> None:
    assert computed(expression, {"a": [2.0]}) == {0: wanted}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("FILL(m1, 0)", "FILL is not imitated"),
        ("SUM(METRICS())", "SUM is not imitated"),
        ("SELECT AVG(x) FROM y", "SELECT is not imitated"),
        ("m1 +", "an operand is missing at the end"),
        ("m1 m2", "'m2' is out of place"),
        ("m1 < m2 < 3", "needs brackets"),
        ("(m1", "'\\)' is missing before 'the end'"),
        ("IF(m1)", "IF takes a condition"),
        ("IF(m1, 1, 2, 3)", "IF takes a condition"),
        ("IF(1, 2, m1)", "IF takes a condition"),
        ("1 + 2", "is a number"),
        ("m1 * (1 / 0)", "no finite result"),
        ("m1 and m2", "'and' is out of place"),
        ("m1 % 2", "'%' cannot be read"),
        ("__import__", "cannot be read"),
    ],
)
def test_what_cannot_be_computed_is_refused(expression: str, words: str) -> None:
    with pytest.raises(BadExpressionError, match=words):
        Formula.read(expression)
