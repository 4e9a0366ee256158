"""Composite alarms, through boto3."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudwatch import Alarms
from testbed.metrics import composite


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
            "A composite alarm cannot start arn:aws:autoscaling",
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
