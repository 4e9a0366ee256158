"""SNS topics among an alarm's actions, as far as a queue that subscribes to one can see."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from local_aws.cloudwatch import Alarms, MetricStore
from local_aws.cloudwatch.alarm import Alarm
from local_aws.cloudwatch.notifications import topics_of
from local_aws.cloudwatch.rules import rule_of
from local_aws.testing.waiting import wait_until
from testbed.metrics import HandClock, alarm, composite

REGION = "eu-west-1"


@pytest.fixture
def topic(url: str) -> tuple[str, Callable[[int], list[dict[str, Any]]]]:
    """Return a topic's ARN, and a function that waits for so many messages in the queue that subscribes to it."""
    sns, sqs = (
        boto3.client(
            name,
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        for name in ("sns", "sqs")
    )
    arn = sns.create_topic(Name=f"alerts-{uuid.uuid4()}")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"alerts-{uuid.uuid4()}")["QueueUrl"]
    wanted = {"QueueUrl": queue, "AttributeNames": ["QueueArn"]}
    endpoint = sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    got: list[dict[str, Any]] = []

    def messages(count: int) -> list[dict[str, Any]]:
        def enough() -> bool:
            found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            got.extend(json.loads(one["Body"]) for one in found)
            return len(got) >= count

        wait_until(enough, f"{count} messages")
        return got

    return arn, messages


Topic = tuple[str, Callable[[int], list[dict[str, Any]]]]


def actions_of(cloudwatch: Any, name: str, count: int) -> list[str]:
    """Wait for so many actions in the history of an alarm; return their summaries, the oldest first."""

    def found() -> list[str]:
        items = cloudwatch.describe_alarm_history(
            AlarmName=name, HistoryItemType="Action", ScanBy="TimestampAscending"
        )
        return [item["HistorySummary"] for item in items["AlarmHistoryItems"]]

    wait_until(lambda: len(found()) >= count, f"{count} actions of {name}")
    return found()


def test_a_change_of_state_notifies_the_topics_of_the_new_state(
    cloudwatch: Any, store: MetricStore, alarms: Alarms, clock: HandClock, topic: Topic
) -> None:
    arn, messages = topic
    cloudwatch.put_metric_alarm(**alarm(AlarmActions=[arn], AlarmDescription="too slow"))
    for value in (99.0, 99.0, 1.0):
        store.put("Digits", "Latency", {"Variant": "A"}, value)
        clock.at += 1
        alarms.tick()

    (sent,) = messages(1)
    body = json.loads(sent["Message"])
    assert sent["Subject"] == 'ALARM: "slow"'
    assert (body["OldStateValue"], body["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert (body["AlarmName"], body["AlarmDescription"]) == ("slow", "too slow")
    assert "99.0" in body["NewStateReason"]
    assert body["Trigger"]["Threshold"] == 10.0
    assert actions_of(cloudwatch, "slow", 1) == [f"Successfully executed action {arn}"]


def test_a_state_set_by_hand_and_a_composite_alarm_notify_too(
    cloudwatch: Any, alarms: Alarms, topic: Topic
) -> None:
    arn, messages = topic
    cloudwatch.put_metric_alarm(**alarm(OKActions=[arn], TreatMissingData="ignore"))
    composite(cloudwatch, "both", "OK(slow)", AlarmActions=[arn])
    for _ in range(2):  # the second time is no change
        cloudwatch.set_alarm_state(AlarmName="slow", StateValue="OK", StateReason="drill")
    alarms.tick()

    assert {sent["Subject"] for sent in messages(2)} == {'OK: "slow"', 'ALARM: "both"'}


@pytest.mark.parametrize(
    ("enabled", "state", "topics"), [(True, "ALARM", 1), (True, "OK", 0), (False, "ALARM", 0)]
)
def test_only_the_actions_of_the_new_state_are_run_and_none_that_is_switched_off(
    enabled: bool, state: str, topics: int
) -> None:
    other = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:id"
    request = alarm(AlarmActions=[f"arn:aws:sns:{REGION}:123456789012:alerts", other])
    one = Alarm(request, rule_of(request), "arn", datetime.now(UTC), enabled, state)

    assert len(topics_of(one)) == topics


def test_a_topic_that_is_not_there_is_a_failed_action_in_the_history(cloudwatch: Any) -> None:
    nowhere = f"arn:aws:sns:{REGION}:123456789012:nowhere"
    cloudwatch.put_metric_alarm(**alarm(AlarmActions=[nowhere]))
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="drill")

    assert actions_of(cloudwatch, "slow", 1) == [f"Failed to execute action {nowhere}"]
