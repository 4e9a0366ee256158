"""AWS has what is wanted if every wanted field is there, whatever else AWS adds and in whatever order."""

from typing import Any

import pytest

from pipeline.aws.drift import contains

ONE, TWO = {"Name": "one", "Value": "1"}, {"Name": "two", "Value": "2"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 1, "arn": "added by AWS"}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
        ([ONE, TWO], [TWO, ONE]),
        ([{"Id": "x", "n": 1}], [{"Id": "x", "n": 1, "Label": "added"}]),
        (["b", "a"], ["a", "b"]),
        (["arn:policyName/Name", "Id"], ["Id", "arn:policyName/Name"]),
        (1200.0, 1200),
    ],
)
def test_what_is_there_is_there(wanted: Any, found: Any) -> None:
    assert contains(wanted, found)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": 1}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ([ONE], [ONE, TWO]),
        ([ONE, TWO], [ONE]),
        ([ONE], [TWO]),
        ([ONE], None),
        (1200.0, 1200.5),
    ],
)
def test_what_differs_or_is_missing_is_not(wanted: Any, found: Any) -> None:
    assert not contains(wanted, found)
