"""Alarm evaluation: the examples of CloudWatch's guide, with the texts of the reasons."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.cloudwatch.evaluation import (
    EXTRA_PERIODS,
    OPERATORS,
    Datapoint,
    Threshold,
    judge,
    reason_data,
)

KEPT = "kept"
SYMBOLS = {"0": 1.0, "X": 99.0, "-": None}
STATES = st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"])


def points(pattern: str) -> list[Datapoint]:
    """`0` is within the threshold, `X` breaches it, `-` is missing; oldest first, one a minute."""
    return [Datapoint(60.0 * minute, SYMBOLS[one]) for minute, one in enumerate(pattern.replace(" ", ""))]


def threshold(
    datapoints: int, periods: int, missing: str = "missing", comparison: str = "GreaterThanThreshold"
) -> Threshold:
    return Threshold(comparison, 10.0, periods, datapoints, missing)


@pytest.mark.parametrize(
    ("pattern", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "OK", "OK", "OK", "OK"),
        ("- - - - 0", "OK", "OK", "OK", "OK"),
        ("- - - - -", "INSUFFICIENT_DATA", KEPT, "ALARM", "OK"),
        ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", "ALARM", KEPT, "ALARM", "OK"),
        ("- - - - X", KEPT, KEPT, "ALARM", "OK"),
    ],
)
def test_three_of_three(pattern: str, missing: str, ignore: str, breaching: str, not_breaching: str) -> None:
    found = [
        judge(threshold(3, 3, how), points(pattern), KEPT).state
        for how in ("missing", "ignore", "breaching", "notBreaching")
    ]

    assert found == [missing, ignore, breaching, not_breaching]


@pytest.mark.parametrize(
    ("pattern", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 - X - -", "OK", "OK", "ALARM", "OK"),
        ("- - - - 0", "OK", "OK", "ALARM", "OK"),
        ("- - - X -", "ALARM", KEPT, "ALARM", "OK"),
    ],
)
def test_two_of_three(pattern: str, missing: str, ignore: str, breaching: str, not_breaching: str) -> None:
    found = [
        judge(threshold(2, 3, how), points(pattern), KEPT).state
        for how in ("missing", "ignore", "breaching", "notBreaching")
    ]

    assert found == [missing, ignore, breaching, not_breaching]


@pytest.mark.parametrize(
    ("comparison", "states"),
    [
        ("GreaterThanThreshold", ["OK", "OK", "ALARM"]),
        ("GreaterThanOrEqualToThreshold", ["OK", "ALARM", "ALARM"]),
        ("LessThanThreshold", ["ALARM", "OK", "OK"]),
        ("LessThanOrEqualToThreshold", ["ALARM", "ALARM", "OK"]),
    ],
)
def test_comparison_operators(comparison: str, states: list[str]) -> None:
    found = [
        judge(threshold(1, 1, comparison=comparison), [Datapoint(0.0, value)], "OK").state
        for value in (9.0, 10.0, 11.0)
    ]

    assert found == states


@given(
    values=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=5, max_size=5),
    wanted=st.integers(1, 3),
    missing=st.sampled_from(["missing", "ignore", "breaching", "notBreaching"]),
    comparison=st.sampled_from(sorted(OPERATORS)),
    current=STATES,
)
def test_what_was_seen_decides_whatever_the_treatment(
    values: list[float | None], wanted: int, missing: str, comparison: str, current: str
) -> None:
    """M breaching datapoints among the newest N that exist always alarm; N that exist and fewer never do."""
    rule = Threshold(comparison, 10.0, 3, wanted, missing)
    newest = [value for value in reversed(values) if value is not None][:3]
    breaching = sum(rule.is_breached_by(value) for value in newest)

    judgement = judge(rule, [Datapoint(60.0 * n, value) for n, value in enumerate(values)], current)

    if breaching >= wanted:
        assert judgement.state == "ALARM"
    elif len(newest) == 3:
        assert judgement.state == "OK"
    assert judgement.state != "INSUFFICIENT_DATA" or not newest or current == "INSUFFICIENT_DATA"
    assert [point.value for point in judgement.evaluated] in (newest, [])


def test_the_range_looks_back_two_periods_further() -> None:
    assert EXTRA_PERIODS == 2, "the patterns above are of 3 and 2 more"


@pytest.mark.parametrize(
    ("pattern", "rule", "reason"),
    [
        (
            "X",
            threshold(1, 1),
            "Threshold Crossed: 1 out of the last 1 datapoint [99.0 (01/01/70 00:00:00)] was greater than the "
            "threshold (10.0) (minimum 1 datapoint for OK -> ALARM transition).",
        ),
        (
            "0 0 X",
            threshold(2, 3),
            "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (01/01/70 00:01:00), 1.0 (01/01/70 00:00:00)] "
            "were not greater than the threshold (10.0) (minimum 2 datapoints for ALARM -> OK transition).",
        ),
        (
            "- X -",
            threshold(3, 3, "breaching"),
            "Threshold Crossed: 1 out of the last 1 datapoint [99.0 (01/01/70 00:01:00)] was greater than the "
            "threshold (10.0), and 2 missing datapoints were treated as [Breaching] (minimum 3 datapoints for "
            "OK -> ALARM transition).",
        ),
        (
            "- - -",
            threshold(1, 3, "notBreaching"),
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated "
            "as [NonBreaching].",
        ),
        (
            "- X -",
            threshold(2, 2, "notBreaching"),
            "Threshold Crossed: 1 missing datapoint was treated as [NonBreaching].",
        ),
        ("-", threshold(1, 1), "Insufficient Data: 1 datapoint was unknown."),
        ("- -", threshold(2, 2), "Insufficient Data: 2 datapoints were unknown."),
    ],
)
def test_reasons_read_like_those_of_cloudwatch(pattern: str, rule: Threshold, reason: str) -> None:
    assert judge(rule, points(pattern), "OK").reason == reason


def test_reason_data_hold_the_datapoints_that_decided() -> None:
    judgement = judge(threshold(1, 2), points("0X"), "OK")

    data = json.loads(reason_data(judgement, threshold(1, 2), statistic="Sum", period=60, now=120.0))

    assert data["recentDatapoints"] == [1.0, 99.0]
    assert data["startDate"] == "1970-01-01T00:00:00.000+0000"
    assert data["queryDate"] == "1970-01-01T00:02:00.000+0000"
    assert data["evaluatedDatapoints"][0] == {"timestamp": "1970-01-01T00:01:00.000+0000", "value": 99.0}
