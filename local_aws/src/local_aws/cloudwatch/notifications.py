"""Alarm actions that are SNS topics: the message of a state change, and its publication.

Source: "Notify users on alarm changes" in the CloudWatch guide. moto keeps the topics and delivers to subscriptions;
what it cannot deliver (mail, SMS) ends at the topic.
"""

import json
import logging
import threading
from collections.abc import Callable

from moto.sns.models import sns_backends

from local_aws.cloudwatch.alarm import Alarm
from local_aws.cloudwatch.limits import ACTIONS

_OF_A_METRIC = (
    *("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Unit", "Dimensions", "Period", "Metrics"),
    *("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData"),
    "EvaluateLowSampleCountPercentile",
)
Record = Callable[[Alarm, str, dict[str, str]], None]

log = logging.getLogger(__name__)


def topics_of(alarm: Alarm) -> tuple[str, ...]:
    """List the topics that the alarm notifies of the state it is in; none while its actions are switched off."""
    if not alarm.actions_enabled:
        return ()
    actions = alarm.request.get(ACTIONS[alarm.state_value]) or ()
    return tuple(arn for arn in actions if arn.split(":")[2] == "sns")


def message_of(alarm: Alarm, before: str) -> dict[str, object]:
    """Return the body of the notification that the alarm left the state `before`."""
    request = alarm.request
    actions = {name: list(request.get(name) or ()) for name in ACTIONS.values()}
    message: dict[str, object] = {
        "AlarmName": alarm.name,
        "AlarmDescription": request.get("AlarmDescription"),
        "AWSAccountId": alarm.alarm_arn.split(":")[4],
        "AlarmConfigurationUpdatedTimestamp": _iso(alarm.updated.isoformat()),
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": _iso(alarm.state_updated.isoformat(timespec="milliseconds")),
        "Region": alarm.alarm_arn.split(":")[3],
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        **actions,
    }
    if alarm.kind == "CompositeAlarm":
        return message | {"AlarmRule": request["AlarmRule"]}
    return message | {"Trigger": {name: request[name] for name in _OF_A_METRIC if name in request}}


def notify(alarm: Alarm, before: str, record: Record) -> None:
    """Publish a change of state to the alarm's topics, and record for each whether that worked.

    In a thread of its own: a subscriber may be slow, and the other alarms do not wait for it.
    """
    if topics := topics_of(alarm):
        message, subject = json.dumps(message_of(alarm, before)), f'{alarm.state_value}: "{alarm.name}"'
        task = threading.Thread(target=_publish, args=(alarm, topics, subject, message, record), daemon=True)
        task.start()


def _publish(alarm: Alarm, topics: tuple[str, ...], subject: str, message: str, record: Record) -> None:
    for arn in topics:
        region, account = arn.split(":")[3:5]
        try:
            sns_backends[account][region].publish(message=message, arn=arn, subject=subject[:100])
        except Exception as error:  # whatever a subscriber does, the alarm goes on
            log.warning("alarm %s could not notify %s: %s", alarm.name, arn, error)
            data = {"actionState": "Failed", "notificationResource": arn, "error": str(error)}
            record(alarm, f"Failed to execute action {arn}", data)
        else:
            data = {"actionState": "Succeeded", "notificationResource": arn}
            record(alarm, f"Successfully executed action {arn}", data)


def _iso(text: str) -> str:
    return text.replace("+00:00", "+0000")
