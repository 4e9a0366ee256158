"""Metric statistics and metric math, through boto3."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudwatch import MetricStore
from testbed.metrics import HandClock, metric, when


def test_what_boto3_puts_is_what_it_gets(cloudwatch: Any, clock: HandClock) -> None:
    """Single values, values with counts and statistic sets land in one aligned period of one second."""
    dimensions = [{"Name": "Variant", "Value": "A"}]
    data = {"MetricName": "Latency", "Dimensions": dimensions, "Timestamp": when(clock.at)}
    cloudwatch.put_metric_data(
        Namespace="Digits",
        MetricData=[
            data | {"Value": 1.0},
            data | {"Values": [2.0, 3.0], "Counts": [1, 2]},
            data | {"StatisticValues": {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}},
        ],
    )

    answer = cloudwatch.get_metric_statistics(
        Namespace="Digits",
        MetricName="Latency",
        Dimensions=dimensions,
        StartTime=when(clock.at),
        EndTime=when(clock.at + 1),
        Period=60,
        Statistics=["Sum", "SampleCount", "Minimum", "Maximum", "Average"],
    )

    (point,) = answer["Datapoints"]
    assert point["Timestamp"] == when(clock.at)
    assert {name: point[name] for name in ("Sum", "SampleCount", "Minimum", "Maximum")} == {
        "Sum": 19.0,
        "SampleCount": 6.0,
        "Minimum": 1.0,
        "Maximum": 6.0,
    }


def test_percentiles_come_in_both_apis(cloudwatch: Any, store: MetricStore, clock: HandClock) -> None:
    for value in range(1, 1001):
        store.put("Digits", "Latency", {"Variant": "A"}, value, unit="Microseconds")
    span = {"StartTime": when(clock.at), "EndTime": when(clock.at + 1)}

    data = cloudwatch.get_metric_data(MetricDataQueries=[metric(stat="p99")], **span)
    statistics = cloudwatch.get_metric_statistics(
        Namespace="Digits",
        MetricName="Latency",
        Dimensions=[{"Name": "Variant", "Value": "A"}],
        Period=60,
        ExtendedStatistics=["p50", "p99"],
        **span,
    )

    assert data["MetricDataResults"][0]["Values"] == [pytest.approx(990, rel=0.01)]
    point = statistics["Datapoints"][0]
    assert point["Unit"] == "Microseconds"
    assert point["ExtendedStatistics"] == {
        "p50": pytest.approx(500, rel=0.01),
        "p99": pytest.approx(990, rel=0.01),
    }


@pytest.mark.parametrize(("scan_by", "order"), [("TimestampAscending", 1), ("TimestampDescending", -1)])
def test_datapoints_come_in_the_order_asked_for(
    cloudwatch: Any, store: MetricStore, clock: HandClock, scan_by: str, order: int
) -> None:
    """A period belongs to the answer when it starts before EndTime, even if it ends later."""
    for second in range(3):
        store.put("Digits", "Latency", {"Variant": "A"}, second, at=clock.at + second)

    def values(period: int, seconds: int) -> list[float]:
        query = metric()
        query["MetricStat"]["Period"] = period
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[query],
            StartTime=when(clock.at),
            EndTime=when(clock.at + seconds),
            ScanBy=scan_by,
        )
        found: list[float] = answer["MetricDataResults"][0]["Values"]
        return found

    assert values(60, 2) == [0.0, 1.0][::order]
    assert sum(values(36000, 1)) == 3.0


def test_metric_math_divides_and_leaves_out_divisions_by_zero(
    cloudwatch: Any, store: MetricStore, clock: HandClock
) -> None:
    for second, (errors, requests) in enumerate([(1, 4), (1, 0)]):
        store.put("Digits", "Errors", {"Variant": "A"}, errors, at=clock.at + second)
        store.put("Digits", "Requests", {"Variant": "A"}, requests, at=clock.at + second)

    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[
            metric("Errors", id_="errors", ReturnData=False),
            metric("Requests", id_="requests", ReturnData=False),
            {"Id": "percent", "Expression": "100 * errors / requests"},
        ],
        StartTime=when(clock.at),
        EndTime=when(clock.at + 2),
    )

    (result,) = answer["MetricDataResults"]
    assert (result["Id"], result["Values"], result["Timestamps"]) == ("percent", [25.0], [when(clock.at)])


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ([metric(), {"Id": "e1", "Expression": "FILL(m1, 0)"}], "not imitated"),
        ([metric(), {"Id": "e1", "Expression": "m2 + 1"}], "no query defines"),
        ([metric(stat="tm99")], "tm99"),
        ([metric(), metric()], "not unique"),
        ([{"Id": "e1", "Expression": "SELECT AVG(x) FROM y"}], "expression needs metrics"),
        ([metric(), {"Id": "e1"}], r"MetricDataQueries\.member\.2\.MetricStat is required"),
    ],
)
def test_a_query_that_is_not_imitated_is_refused(
    cloudwatch: Any, clock: HandClock, queries: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(ClientError, match=words) as caught:
        cloudwatch.get_metric_data(
            MetricDataQueries=queries, StartTime=when(clock.at), EndTime=when(clock.at + 1)
        )

    assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("seconds", "of_data"),
    [(0, "StartTime must not equal parameter EndTime"), (-1, "EndTime must be greater than StartTime")],
)
def test_a_span_that_does_not_go_forward_is_refused_in_the_words_of_its_operation(
    cloudwatch: Any, clock: HandClock, seconds: int, of_data: str
) -> None:
    span = {"StartTime": when(clock.at), "EndTime": when(clock.at + seconds)}
    with pytest.raises(ClientError, match=of_data) as data:
        cloudwatch.get_metric_data(MetricDataQueries=[metric()], **span)
    with pytest.raises(ClientError, match="StartTime must be less than the parameter EndTime") as statistics:
        cloudwatch.get_metric_statistics(
            Namespace="Digits", MetricName="Latency", Period=60, Statistics=["Sum"], **span
        )

    assert data.value.response["Error"]["Code"] == "ValidationError"
    assert statistics.value.response["Error"]["Code"] == "InvalidParameterValue"
