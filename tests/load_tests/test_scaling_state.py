"""Answers by release across processes, and the CloudWatch queries for an alarm's metric."""

from typing import Any

import pytest

from load_tests.release_counter import ReleaseCounter
from load_tests.scaling_state import last_complete, queries


@pytest.fixture
def environment_class(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Locust's, without what importing Locust does to Python's sockets."""
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    from locust.env import Environment

    return Environment


def answered(environment: Any, **context: Any) -> None:
    environment.events.request.fire(
        request_type="invoke", name="x", response_time=1.0, response_length=0, exception=None, context=context
    )


def test_the_workers_answers_are_summed_in_their_master_and_taken_once(environment_class: Any) -> None:
    workers, master = [environment_class(), environment_class()], environment_class()
    for environment in workers:
        ReleaseCounter(environment)
    shown = ReleaseCounter(master)
    answered(workers[0], release="r1")
    answered(workers[0], release="r2")
    answered(workers[1], release="r1")
    answered(workers[1])  # failed: nobody answered
    for environment in (*workers, *workers):
        report: dict[str, Any] = {}
        environment.events.report_to_master.fire(client_id="w", data=report)
        master.events.worker_report.fire(client_id="w", data=report)

    assert shown.take() == {"r1": 2, "r2": 1}
    assert shown.take() == {}


def test_an_alarm_on_one_metric_is_asked_for_as_the_alarm_sees_it() -> None:
    alarm = {
        "Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Period": 10, "ExtendedStatistic": "p99",
        "Dimensions": [{"Name": "EndpointName", "Value": "x"}], "Metrics": [],
    }  # fmt: skip

    (query,) = queries(alarm)
    assert query["MetricStat"]["Stat"] == "p99"
    assert query["MetricStat"]["Period"] == 10
    assert query["MetricStat"]["Metric"]["MetricName"] == "ModelLatency"


def test_an_alarm_on_metric_math_is_asked_for_with_its_own_queries() -> None:
    metrics = [{"Id": "ratio", "Expression": "a / b"}]

    assert queries({"Metrics": metrics}) == metrics


@pytest.mark.parametrize(
    ("starts", "values", "value"),
    [
        ([], [], None),
        ([98.0], [7.0], 7.0),
        ([98.0, 96.0, 92.0], [1.0, 500.0, 480.0], 500.0),  # 98 to 100 is not over
        ([97.0, 95.0, 93.0], [490.0, 500.0, 480.0], 490.0),
    ],
)
def test_a_period_that_is_not_over_is_not_shown(
    starts: list[float], values: list[float], value: float | None
) -> None:
    assert last_complete(starts, values, now=99.5) == value
