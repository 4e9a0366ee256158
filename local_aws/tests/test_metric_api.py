"""CloudWatch through moto's real server, spoken to by boto3 and the AWS CLI."""

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms, MetricStore, install

SCALE = 60.0


class HandClock(Clock):
    """A clock that moves when told to."""

    def __init__(self, at: float, scale: float = SCALE) -> None:
        super().__init__(scale)
        self.at = at

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> HandClock:
    return HandClock(float(int(time.time())))


@pytest.fixture
def store(clock: HandClock) -> MetricStore:
    return MetricStore(clock)


@pytest.fixture
def alarms(store: MetricStore, clock: HandClock) -> Alarms:
    return install(store, clock)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One moto server for all tests; each test installs a fresh store behind it."""
    install(MetricStore(HandClock(0.0)), HandClock(0.0))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def environ(url: str, alarms: Alarms) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


@pytest.fixture
def connect(environ: dict[str, str]) -> Callable[..., Any]:
    def client(region: str = "eu-west-1") -> Any:
        return boto3.client(
            "cloudwatch",
            region_name=region,
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture
def cloudwatch(connect: Callable[..., Any]) -> Any:
    return connect()


def when(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def metric(name: str = "Latency", stat: str = "Sum", id_: str = "m1", **more: Any) -> dict[str, Any]:
    spec = {"Namespace": "Digits", "MetricName": name, "Dimensions": [{"Name": "Variant", "Value": "A"}]}
    return {"Id": id_, "MetricStat": {"Metric": spec, "Period": 60, "Stat": stat}} | more


def alarm(name: str = "slow", **more: Any) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "Digits",
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Variant", "Value": "A"}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
    } | more


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


def test_a_batch_that_botocore_compresses_arrives(cloudwatch: Any, store: MetricStore) -> None:
    cloudwatch.put_metric_data(Namespace="Digits", MetricData=[{"MetricName": "Latency", "Value": 1.0}] * 500)

    assert sum(1 for _ in store.all_series()) == 1


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


def test_two_dimensions_of_one_name_are_refused_and_not_merged(cloudwatch: Any, store: MetricStore) -> None:
    twice = [{"Name": "Variant", "Value": value} for value in "AB"]

    with pytest.raises(ClientError, match=r"Two dimensions of one name, in MetricData\.member\.1"):
        cloudwatch.put_metric_data(
            Namespace="Digits", MetricData=[{"MetricName": "Latency", "Value": 1.0, "Dimensions": twice}]
        )

    assert list(store.all_series()) == []


def test_a_timestamp_out_of_range_is_refused_and_nothing_is_stored(
    cloudwatch: Any, store: MetricStore, clock: HandClock
) -> None:
    good = {"MetricName": "Latency", "Value": 1.0}

    with pytest.raises(ClientError, match=r"MetricData\.member\.2\.Timestamp"):
        cloudwatch.put_metric_data(
            Namespace="Digits", MetricData=[good, good | {"Timestamp": when(clock.at + 10_000)}]
        )

    assert list(store.all_series()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"Values": [1.0], "Counts": [0]},
        {"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}},
        {"Values": [1.0, 2.0], "Counts": [1]},
    ],
)
def test_data_without_values_are_refused(cloudwatch: Any, store: MetricStore, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"MetricData\.member\.1"):
        cloudwatch.put_metric_data(Namespace="Digits", MetricData=[{"MetricName": "Latency"} | wrong])

    assert list(store.all_series()) == []


def test_ten_thousand_series_are_listed_in_pages_that_look_once_at_each(
    cloudwatch: Any, store: MetricStore
) -> None:
    """The whole list, 500 a page, and one series by its dimensions. (benchmarks/list_metrics.py has the time.)"""
    for number in range(10_000):
        store.put("Digits", "Latency", {"Endpoint": str(number)}, 1.0)

    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Digits"))

    names = {m["Dimensions"][0]["Value"] for page in pages for m in page["Metrics"]}
    (one,) = cloudwatch.list_metrics(Dimensions=[{"Name": "Endpoint", "Value": "77"}])["Metrics"]
    assert (len(names), len(pages)) == (10_000, 20)
    assert one["Dimensions"] == [{"Name": "Endpoint", "Value": "77"}]


def test_regions_do_not_share_metrics_or_alarms(connect: Callable[..., Any], store: MetricStore) -> None:
    store.put("Digits", "Latency", {}, 1.0)
    connect().put_metric_alarm(**alarm())

    assert connect("us-east-1").list_metrics()["Metrics"] == []
    assert connect("us-east-1").describe_alarms()["MetricAlarms"] == []
    assert len(connect().list_metrics()["Metrics"]) == 1


def test_an_alarm_lives_from_insufficient_data_through_alarm_to_ok(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    """Born without data; the complete period decides; every change has AWS's reason and a history line."""
    cloudwatch.put_metric_alarm(**alarm())
    born = cloudwatch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"][0]
    for value in (99.0, 4.0):
        store.put("Digits", "Latency", {"Variant": "A"}, value)
        alarms.tick()
        assert value != 99.0 or alarms.state("slow") == "INSUFFICIENT_DATA", "the period still runs"
        clock.at += 1
        alarms.tick()
        if value == 99.0:
            fired = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"][0]
    calm = cloudwatch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"][0]
    history = cloudwatch.describe_alarm_history(AlarmName="slow", HistoryItemType="StateUpdate")

    stamp = when(clock.at - 2).strftime("%d/%m/%y %H:%M:%S")
    assert (born["StateValue"], born["StateReason"]) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    assert fired["StateReason"] == (
        f"Threshold Crossed: 1 out of the last 1 datapoint [99.0 ({stamp})] was greater than the threshold "
        "(10.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert json.loads(fired["StateReasonData"])["recentDatapoints"] == [99.0]
    assert calm["StateValue"] == "OK"
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


def test_a_state_set_by_hand_lasts_until_the_next_period_ends(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    store.put("Digits", "Latency", {"Variant": "A"}, 1.0)
    clock.at += 1
    alarms.tick()
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="drill")
    alarms.tick()
    by_hand = alarms.state("slow")
    clock.at += 1
    alarms.tick()

    assert (by_hand, alarms.state("slow")) == ("ALARM", "OK")


def test_replacing_an_alarm_keeps_its_state(cloudwatch: Any, alarms: Alarms) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="OK", StateReason="drill")

    cloudwatch.put_metric_alarm(**alarm(Threshold=20.0))

    again = cloudwatch.describe_alarms()["MetricAlarms"][0]
    assert (again["StateValue"], again["Threshold"]) == ("OK", 20.0)


@pytest.mark.parametrize(
    "filter_",
    [
        {"AlarmNames": ["slow"]},
        {"AlarmNamePrefix": "sl"},
        {"StateValue": "INSUFFICIENT_DATA", "AlarmTypes": ["MetricAlarm"]},
        {"ActionPrefix": "arn:aws:sns"},
    ],
)
def test_alarms_are_found_by_what_describe_alarms_offers(cloudwatch: Any, filter_: dict[str, Any]) -> None:
    cloudwatch.put_metric_alarm(**alarm(AlarmActions=["arn:aws:sns:eu-west-1:123456789012:pager"]))
    cloudwatch.put_metric_alarm(**alarm("other"))
    cloudwatch.set_alarm_state(AlarmName="other", StateValue="OK", StateReason="drill")

    found = cloudwatch.describe_alarms(**filter_)["MetricAlarms"]

    assert [one["AlarmName"] for one in found] == ["slow"]


def test_a_deleted_alarm_is_gone(cloudwatch: Any, alarms: Alarms) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    before = alarms.state("slow")

    cloudwatch.delete_alarms(AlarmNames=["slow"])

    alarms.tick()
    assert (before, alarms.state("slow")) == ("INSUFFICIENT_DATA", None)


@pytest.mark.parametrize(
    "watching",
    [
        {"Statistic": None, "ExtendedStatistic": "p90"},
        {
            **dict.fromkeys(["Namespace", "MetricName", "Dimensions", "Statistic", "Period"]),
            "Metrics": [metric(stat="Maximum")],
        },
        {
            **dict.fromkeys(["Namespace", "MetricName", "Dimensions", "Statistic", "Period"]),
            "Metrics": [metric(stat="Sum", ReturnData=False), {"Id": "e1", "Expression": "m1 * 2"}],
        },
    ],
    ids=["percentile", "one metric", "metric math"],
)
def test_alarms_watch_percentiles_and_metric_lists(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock, watching: dict[str, Any]
) -> None:
    request = {name: value for name, value in alarm(**watching).items() if value is not None}
    cloudwatch.put_metric_alarm(**request)
    for value in (1.0, 50.0, 60.0):
        store.put("Digits", "Latency", {"Variant": "A"}, value)

    clock.at += 1
    alarms.tick()

    assert alarms.state("slow") == "ALARM"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "not imitated"),
        ({"EvaluateLowSampleCountPercentile": "maybe"}, "Option maybe is not supported"),
        ({"ThresholdMetricId": "ad1"}, "ThresholdMetricId"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "not imitated"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"Period": 7}, "Period 7"),
        ({"TreatMissingData": "bad"}, "TreatMissingData"),
        (
            {
                "MetricName": None,
                "Namespace": None,
                "Statistic": None,
                "Period": None,
                "Dimensions": None,
                "Metrics": [metric(ReturnData=False), {"Id": "e1", "Expression": "m1 + m9"}],
            },
            "no query defines",
        ),
    ],
)
def test_an_alarm_that_is_not_imitated_is_refused_and_leaves_nothing(
    cloudwatch: Any, alarms: Alarms, wrong: dict[str, Any], words: str
) -> None:
    request = {name: value for name, value in alarm(**wrong).items() if value is not None}
    with pytest.raises(ClientError, match=words):
        cloudwatch.put_metric_alarm(**request)

    alarms.tick()
    assert alarms.state("slow") is None


def composite(cloudwatch: Any, name: str, rule: str, **more: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule, **more)


@pytest.fixture
def pair(cloudwatch: Any) -> Any:
    """Two metric alarms, `slow` and `wrong`, both OK."""
    for name in ("slow", "wrong"):
        cloudwatch.put_metric_alarm(**alarm(name, TreatMissingData="ignore"))
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="drill")
    return cloudwatch


def test_a_composite_alarm_follows_the_alarms_in_its_rule(pair: Any, alarms: Alarms) -> None:
    composite(pair, "bad", "ALARM(slow) AND NOT OK(wrong)", AlarmDescription="both")
    born = alarms.state("bad")
    states = []
    for name, state in (("slow", "OK"), ("slow", "ALARM"), ("wrong", "ALARM"), ("slow", "OK")):
        pair.set_alarm_state(AlarmName=name, StateValue=state, StateReason="drill")
        alarms.tick()
        states.append(alarms.state("bad"))

    (described,) = pair.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    history = pair.describe_alarm_history(AlarmName="bad", AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
    trigger = json.loads(described["StateReasonData"])["triggeringAlarms"][0]
    assert (born, states) == ("INSUFFICIENT_DATA", ["OK", "OK", "ALARM", "OK"])
    assert (described["AlarmRule"], described["AlarmDescription"]) == (
        "ALARM(slow) AND NOT OK(wrong)",
        "both",
    )
    assert "alarm:slow transitioned to OK at " in described["StateReason"]
    assert (trigger["arn"].rpartition(":")[2], trigger["state"]["value"]) == ("slow", "OK")
    assert [item["HistorySummary"] for item in history] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
        'Alarm "bad" created',
    ]


def test_composite_alarms_may_be_composed(pair: Any, alarms: Alarms) -> None:
    composite(pair, "either", "ALARM(slow) OR ALARM(wrong)")
    composite(pair, "any", 'ALARM("either")')
    pair.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="drill")

    alarms.tick()

    assert (alarms.state("either"), alarms.state("any")) == ("ALARM", "ALARM")


def test_a_composite_state_set_by_hand_lasts_until_a_child_changes(pair: Any, alarms: Alarms) -> None:
    composite(pair, "either", "ALARM(slow) OR ALARM(wrong)")
    alarms.tick()
    pair.set_alarm_state(AlarmName="either", StateValue="ALARM", StateReason="drill")
    alarms.tick()
    by_hand = alarms.state("either")
    pair.set_alarm_state(AlarmName="slow", StateValue="INSUFFICIENT_DATA", StateReason="drill")
    alarms.tick()

    assert (by_hand, alarms.state("either")) == ("ALARM", "OK")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"AlarmRule": "ALARM(slow) AND ALARM(other)"}, r"alarms \[other\] in the alarm rule do not exist"),
        ({"AlarmRule": "ALARM(slow) AND"}, "Error in AlarmRule"),
        ({"AlarmRule": "ALARM(slow)", "ActionsSuppressor": "wrong"}, "ActionsSuppressor"),
        (
            {"AlarmRule": "ALARM(slow)", "AlarmActions": ["arn:aws:autoscaling:eu-west-1:1:scalingPolicy:x"]},
            "cannot start a scaling policy",
        ),
        ({"AlarmRule": "ALARM(wrong)", "AlarmName": "slow"}, "is a MetricAlarm"),
    ],
)
def test_a_composite_alarm_that_cannot_be_is_refused(
    pair: Any, alarms: Alarms, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words) as caught:
        pair.put_composite_alarm(**{"AlarmName": "bad"} | request_)

    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert alarms.state("bad") is None


def test_an_alarm_that_others_are_composed_of_stays_unless_they_go_too(pair: Any, alarms: Alarms) -> None:
    composite(pair, "either", "ALARM(slow) OR ALARM(wrong)")

    with pytest.raises(ClientError, match="composite alarm"):
        pair.delete_alarms(AlarmNames=["slow"])

    kept = alarms.state("slow")
    pair.delete_alarms(AlarmNames=["slow", "either"])
    assert (kept, alarms.state("slow"), alarms.state("either")) == ("OK", None, None)


@pytest.mark.parametrize(
    ("filter_", "metric_alarms", "composite_alarms"),
    [
        ({}, ["slow", "wrong"], []),
        ({"AlarmTypes": ["CompositeAlarm"]}, [], ["either"]),
        ({"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}, ["slow", "wrong"], ["either"]),
        ({"ChildrenOfAlarmName": "either"}, ["slow"], []),
        ({"ParentsOfAlarmName": "slow", "AlarmTypes": ["CompositeAlarm"]}, [], ["either"]),
        ({"AlarmNamePrefix": "w", "StateValue": "OK"}, ["wrong"], []),
        ({"AlarmNamePrefix": "w", "StateValue": "ALARM"}, [], []),
    ],
)
def test_alarms_are_described_by_kind_and_by_kinship(
    pair: Any, filter_: dict[str, Any], metric_alarms: list[str], composite_alarms: list[str]
) -> None:
    composite(pair, "either", "ALARM(slow)")

    found = pair.describe_alarms(**filter_)

    assert [one["AlarmName"] for one in found["MetricAlarms"]] == metric_alarms
    assert [one["AlarmName"] for one in found["CompositeAlarms"]] == composite_alarms


def test_alarms_are_described_in_pages_and_by_their_metric(pair: Any) -> None:
    pair.put_metric_alarm(**alarm("other", MetricName="Errors"))
    pages = pair.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2})
    names = [[one["AlarmName"] for one in page["MetricAlarms"]] for page in pages]
    of_metric = pair.describe_alarms_for_metric(
        Namespace="Digits", MetricName="Errors", Dimensions=[{"Name": "Variant", "Value": "A"}]
    )["MetricAlarms"]

    assert names == [["slow", "wrong"], ["other"]]
    assert [one["AlarmName"] for one in of_metric] == ["other"]


def test_actions_are_switched_and_tags_kept_for_alarms(pair: Any) -> None:
    composite(pair, "either", "ALARM(slow)", Tags=[{"Key": "team", "Value": "digits"}])
    pair.disable_alarm_actions(AlarmNames=["either"])
    (off,) = pair.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    pair.enable_alarm_actions(AlarmNames=["either"])
    (on,) = pair.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    tags = pair.list_tags_for_resource(ResourceARN=on["AlarmArn"])["Tags"]

    assert (off["ActionsEnabled"], on["ActionsEnabled"]) == (False, True)
    assert tags == [{"Key": "team", "Value": "digits"}]


def test_the_metrics_of_an_alarm_are_described_as_they_were_put(cloudwatch: Any) -> None:
    request = alarm(Metrics=[metric(ReturnData=False), {"Id": "e1", "Expression": "m1 * 2"}])
    for name in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
        del request[name]
    cloudwatch.put_metric_alarm(**request)

    (found,) = cloudwatch.describe_alarms()["MetricAlarms"]

    assert {name: found[name] for name in request} == request


def test_clients_that_still_speak_the_query_protocol_are_understood(
    url: str, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    """Form in, XML out, as older SDKs do."""
    dimension = {"Dimensions.member.1.Name": "Variant", "Dimensions.member.1.Value": "A"}
    datum = {"MetricName": "Latency", "Value": "7.5", **dimension}

    def post(action: str, **fields: str) -> str:
        form = {"Action": action, "Version": "2010-08-01", "Namespace": "Digits", **fields}
        scope = "Credential=test/20260101/eu-west-1/monitoring/aws4_request"
        request = urllib.request.Request(
            url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    post("PutMetricData", **{f"MetricData.member.1.{name}": value for name, value in datum.items()})
    span = {"StartTime": when(clock.at).isoformat(), "EndTime": when(clock.at + 1).isoformat()}
    answer = post(
        "GetMetricStatistics",
        MetricName="Latency",
        Period="60",
        **{"Statistics.member.1": "Maximum"},
        **span,
        **dimension,
    )

    assert "<Maximum>7.5</Maximum>" in answer


@pytest.mark.starts_processes
def test_the_aws_cli_reads_the_same_store(
    environ: dict[str, str], store: MetricStore, clock: HandClock
) -> None:
    store.put("Digits", "Latency", {"Variant": "A"}, 5.0)
    arguments = ["get-metric-statistics", "--namespace", "Digits", "--metric-name", "Latency"]
    arguments += ["--dimensions", "Name=Variant,Value=A", "--period", "60", "--statistics", "Sum"]
    arguments += ["--start-time", str(int(clock.at)), "--end-time", str(int(clock.at) + 1)]

    done = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "aws"), "cloudwatch", *arguments, "--output", "json"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Datapoints"][0]["Sum"] == 5.0
