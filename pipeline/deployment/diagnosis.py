"""The causes of a deployment that fails: the datapoints of its alarms, the last log lines of its containers."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pipeline.errors import AwsRefused

CLOCKS_DIFFER_SECONDS = 60
STREAMS, LINES, LINE_LENGTH = 2, 8, 300


class ReadsLogs(Protocol):
    """Calls that read, as AwsClient makes them; here of CloudWatch Logs."""

    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None: ...
    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]: ...


def alarm_reason(alarm: Mapping[str, Any]) -> str:
    """Return the reason of an alarm's state, with the datapoints that it judged, newest first."""
    reason = str(alarm.get("StateReason", ""))
    try:
        data = json.loads(alarm.get("StateReasonData") or "{}")
    except ValueError:
        return reason
    points = [
        f"{datetime.fromisoformat(each['timestamp']):%H:%M:%S} {each['value']:g}"
        for each in data.get("evaluatedDatapoints", [])
        if "value" in each
    ]
    if not points:
        return reason
    return f"{reason} [datapoints: {', '.join(points)}; threshold {data.get('threshold')}]"


def recent_logs(endpoint: str, aws: ReadsLogs, since: float) -> str:
    """Return the last lines of the containers that started since then (epoch seconds); empty: there are none.

    If the log group cannot be read, the text says so: the deployment's own error must be raised.
    """
    group, oldest = f"/aws/sagemaker/Endpoints/{endpoint}", (since - CLOCKS_DIFFER_SECONDS) * 1000
    try:
        found = aws.find(
            "logs", "describe_log_streams", logGroupName=group, orderBy="LastEventTime", descending=True
        )
        streams = [each for each in (found or {}).get("logStreams", []) if each["creationTime"] >= oldest]
        return "\n".join(_tail(group, each["logStreamName"], aws) for each in streams[:STREAMS])
    except AwsRefused as error:
        return f"The log group {group} could not be read: {error.code}: {error.message}"


def _tail(group: str, stream: str, aws: ReadsLogs) -> str:
    which = {"logGroupName": group, "logStreamName": stream, "startFromHead": False, "limit": LINES}
    events = aws.read("logs", "get_log_events", **which)["events"]
    lines = [line[:LINE_LENGTH] for event in events for line in event["message"].rstrip().splitlines()]
    return "\n".join([f"The last lines of {stream}:", *(f"  | {line}" for line in lines[-LINES:])])
