"""Metric alarms, through boto3."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudwatch import Alarms, MetricStore
from testbed.metrics import HandClock, alarm, composite, metric, when

BY_METRICS = dict.fromkeys(["Namespace", "MetricName", "Dimensions", "Statistic", "Period"])
"""Fields that an alarm with `Metrics` goes without."""


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
        {"Statistic": None, "ExtendedStatistic": "PR(10:)"},
        BY_METRICS | {"Metrics": [metric(stat="Maximum")]},
        BY_METRICS
        | {"Metrics": [metric(stat="Sum", ReturnData=False), {"Id": "e1", "Expression": "m1 * 2"}]},
    ],
    ids=["percentile", "percentile rank", "one metric", "metric math"],
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
        ({"EvaluateLowSampleCountPercentile": "maybe"}, "Option maybe is not supported"),
        ({"ThresholdMetricId": "ad1"}, "ThresholdMetricId"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "not imitated"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"Period": 7}, "Period 7"),
        ({"TreatMissingData": "bad"}, "TreatMissingData"),
        (
            BY_METRICS | {"Metrics": [metric(ReturnData=False), {"Id": "e1", "Expression": "m1 + m9"}]},
            "no query defines",
        ),
        (
            BY_METRICS | {"Metrics": [metric(ReturnData=False), {"Id": "e1", "Expression": "FILL(m1, 0)"}]},
            "FILL is not imitated",
        ),
        (
            BY_METRICS | {"Metrics": [metric(stat="p99")], "EvaluateLowSampleCountPercentile": "ignore"},
            "of metric math is not imitated",
        ),
        ({"Statistic": None, "ExtendedStatistic": "tm99"}, "tm99"),
        ({"Statistic": None, "ExtendedStatistic": "TC(10%:90%)"}, "TC"),
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


@pytest.mark.parametrize(
    ("how", "slow", "state"),
    [("ignore", 999, "INSUFFICIENT_DATA"), ("ignore", 1000, "ALARM"), ("evaluate", 1, "ALARM")],
)
def test_too_few_samples_for_a_percentile_change_no_state_where_the_alarm_ignores_them(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock, how: str, slow: int, state: str
) -> None:
    """A p99 is significant from 1,000 samples on, says "Percentile-based alarms and low data samples"."""
    request = alarm(ExtendedStatistic="p99", EvaluateLowSampleCountPercentile=how, EvaluationPeriods=2)
    del request["Statistic"]
    cloudwatch.put_metric_alarm(**request)
    for half in (slow // 2, slow - slow // 2):
        store.series("Digits", "Latency", {"Variant": "A"}, unit="None").put(99.0, count=half or 1)
        clock.at += 1
    alarms.tick()

    assert alarms.state("slow") == state


def test_a_period_of_five_minutes_slides_by_the_minute(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    """At the end of minute 6 an alarm evaluates minutes 2 to 6, says "Alarm evaluation" in the guide."""
    clock.at -= clock.at % 5
    cloudwatch.put_metric_alarm(**alarm(Period=300, Statistic="Sum", Threshold=4.5))
    sums, states = [1, 1, 1, 1, 0, 2, 0, 0, 0, 0], []
    for value in sums:
        store.put("Digits", "Latency", {"Variant": "A"}, value)
        clock.at += 1
        alarms.tick()
        states.append(alarms.state("slow"))

    windows = [sum(sums[max(0, end - 5) : end]) for end in range(1, 11)]
    assert states == ["ALARM" if total > 4.5 else "OK" for total in windows]
    assert states[5] == "ALARM", "minutes 2 to 6; neither 1 to 5 nor 6 to 10 have as many"


@pytest.mark.parametrize(("resolution", "states"), [(1, {"OK", "ALARM"}), (60, {"OK", "INSUFFICIENT_DATA"})])
def test_an_alarm_at_high_resolution_lapses_on_a_metric_by_the_minute(
    cloudwatch: Any, alarms: Alarms, clock: HandClock, resolution: int, states: set[str]
) -> None:
    """One value every ten seconds, the fourth of a minute too high: data by the minute have no such datapoint."""
    clock.at -= clock.at % 60
    cloudwatch.put_metric_alarm(**alarm(Period=10, Statistic="Minimum"))
    seen = set()
    for ten in range(6):
        datum: dict[str, Any] = {"MetricName": "Latency", "Dimensions": [{"Name": "Variant", "Value": "A"}]}
        datum |= {"Timestamp": when(clock.at), "StorageResolution": resolution}
        cloudwatch.put_metric_data(
            Namespace="Digits", MetricData=[datum | {"Value": 99.0 if ten == 3 else 1.0}]
        )
        clock.at += 10 / clock.scale
        alarms.tick()
        seen.add(alarms.state("slow"))

    assert seen == states


def test_an_alarm_that_ignores_few_samples_judges_any_other_statistic(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    cloudwatch.put_metric_alarm(**alarm(EvaluateLowSampleCountPercentile="ignore"))
    store.put("Digits", "Latency", {"Variant": "A"}, 99.0)
    clock.at += 1
    alarms.tick()

    assert alarms.state("slow") == "ALARM"


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
