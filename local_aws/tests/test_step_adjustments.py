"""Step adjustments: the choice of the step and the capacity it gives (pure)."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.autoscaling.steps import StepSignal, check_steps
from local_aws.cloudwatch.alarm import Trigger
from testbed.scaling_steps import step, steps


def signal(configuration: dict[str, Any], distance: float) -> StepSignal:
    return StepSignal("step", "busy", distance, configuration)


@pytest.mark.parametrize(
    ("distance", "wanted"),
    [(-15, 7), (-10, 7), (-9.9, 9), (0, 10), (9.9, 10), (10, 12), (19.9, 12), (20, 15), (99, 15)],
)
def test_above_the_threshold_a_lower_bound_is_its_steps_own_and_below_it_an_upper_one(
    distance: float, wanted: int
) -> None:
    configuration = steps(step(-3, None, -10), step(-1, -10, 0), step(0, 0, 10), step(2, 10, 20), step(5, 20))

    assert signal(configuration, distance).wants(10) == wanted


def test_a_metric_on_the_threshold_takes_the_step_that_ends_there_if_none_begins() -> None:
    assert signal(steps(step(-1, None, 0)), 0.0).wants(4) == 3


def test_a_metric_without_a_step_changes_nothing() -> None:
    assert signal(steps(step(2, 0)), -5.0).wants(4) == 4


@pytest.mark.parametrize(
    ("kind", "by", "minimum", "current", "wanted"),
    [
        ("ChangeInCapacity", 2, None, 4, 6),
        ("ChangeInCapacity", -9, None, 4, 0),
        ("ExactCapacity", 3, None, 7, 3),
        ("PercentChangeInCapacity", 25, None, 4, 5),
        ("PercentChangeInCapacity", 25, 2, 4, 6),
        ("PercentChangeInCapacity", 10, None, 4, 5),
        ("PercentChangeInCapacity", 34, None, 4, 5),
        ("PercentChangeInCapacity", -10, None, 4, 3),
        ("PercentChangeInCapacity", -40, None, 4, 3),
        ("PercentChangeInCapacity", -25, 2, 4, 2),
        ("PercentChangeInCapacity", 50, None, 0, 0),
    ],
)
def test_adjustments(kind: str, by: int, minimum: int | None, current: int, wanted: int) -> None:
    more = {} if minimum is None else {"MinAdjustmentMagnitude": minimum}

    assert signal(steps(step(by, 0), kind=kind, **more), 1.0).wants(current) == wanted


@pytest.mark.parametrize(("kind", "wanted"), [("Average", 4), ("Minimum", 3), ("Maximum", 6), (None, 4)])
def test_the_datapoints_that_decided_are_aggregated_as_the_policy_says(kind: str | None, wanted: int) -> None:
    more = {} if kind is None else {"MetricAggregationType": kind}
    configuration = steps(step(1, 0, 20), step(2, 20, 60), step(4, 60), **more)
    trigger = Trigger("busy", 1, (110.0, 115.0, 170.0), 100.0)

    assert StepSignal.of("step", trigger, configuration).wants(2) == wanted


@given(edges=st.lists(st.integers(-50, 50), unique=True), distance=st.floats(-100, 100))
def test_steps_that_are_accepted_leave_no_distance_without_exactly_one_step(
    edges: list[int], distance: float
) -> None:
    bounds = [None, *sorted(edges), None]
    made = [step(n, lower, upper) for n, (lower, upper) in enumerate(pairwise(bounds))]
    check_steps(steps(*made))

    fitting = [
        n
        for n, (lower, upper) in enumerate(pairwise(bounds))
        if (lower is None or lower <= distance) and (upper is None or distance <= upper)
    ]
    assert signal(steps(*made), distance).wants(100) - 100 in fitting
