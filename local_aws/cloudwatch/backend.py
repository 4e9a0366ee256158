"""moto's CloudWatch with our metric store and a real evaluation of its alarms behind it.

moto keeps the alarms as objects (and so the shape of DescribeAlarms, tags, enabled actions); this subclass
keeps what moto lacks: each alarm's rule, its last evaluation and the history. Request threads and the ticker
both come here, hence the lock.
"""

import json
import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import Alarm, CloudWatchBackend

from local_aws.cloudwatch.evaluation import EXTRA_PERIODS, Datapoint, judge, reason_data
from local_aws.cloudwatch.queries import answer
from local_aws.cloudwatch.rules import AlarmRule, rule_of
from local_aws.cloudwatch.store import COARSE_SECONDS, MetricStore

HISTORY_ITEMS = 10_000
FUTURE_SECONDS = 2 * 3600


@dataclass(frozen=True)
class Evaluation:
    """One look at one alarm: which period ended, and the newest value that counted."""

    period_number: int
    value: float | None


class StoreBackend(CloudWatchBackend):  # type: ignore[misc]  # moto is untyped here
    """The CloudWatch of one account and region."""

    def __init__(self, region_name: str, account_id: str, store: MetricStore) -> None:
        super().__init__(region_name, account_id)
        self.store = store
        self.lock = threading.RLock()
        self.rules: dict[str, AlarmRule] = {}
        self.evaluations: dict[str, Evaluation] = {}
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY_ITEMS)

    @property
    def _url_module(self) -> Any:
        return urls  # moto would derive it from this class's own module

    def reset(self) -> None:
        """Forget alarms and history (moto's reset call); the metrics stay, as do the endpoints they tell of."""
        self.__dict__ = StoreBackend(self.region_name, self.account_id, self.store).__dict__

    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Put what a client sends into the store, or nothing of it when one datum is wrong."""
        for number, datum in enumerate(metric_data, 1):
            self._validate_parameters_put_metric_data(datum, number)
            self._check_time(datum, number)
            _check_numbers(datum, number)
        for datum in metric_data:
            self._put_datum(namespace, datum)

    def _check_time(self, datum: dict[str, Any], number: int) -> None:
        at, now, scale = _epoch(datum.get("Timestamp")), self.store.clock.now(), self.store.clock.scale
        if at is not None and not now - COARSE_SECONDS / scale <= at <= now + FUTURE_SECONDS / scale:
            raise InvalidParameterValue(
                f"The parameter MetricData.member.{number}.Timestamp must be within the past "
                f"{COARSE_SECONDS // 86400} days and the next {FUTURE_SECONDS // 3600} hours of AWS time "
                f"(this local AWS passes {scale:g} AWS seconds a second)."
            )

    def _put_datum(self, namespace: str, datum: dict[str, Any]) -> None:
        dimensions = {d["Name"]: d["Value"] for d in datum.get("Dimensions", ())}
        unit, at = datum.get("Unit") or "None", _epoch(datum.get("Timestamp"))
        series = self.store.series(namespace, datum["MetricName"], dimensions, unit=unit)
        if values := datum.get("Values"):
            for value, count in zip(values, datum.get("Counts") or [1.0] * len(values), strict=True):
                series.put(float(value), at=at, count=float(count))
        elif summary := datum.get("StatisticValues"):
            series.put_summary(
                count=float(summary["SampleCount"]),
                total=float(summary["Sum"]),
                minimum=float(summary["Minimum"]),
                maximum=float(summary["Maximum"]),
                at=at,
            )
        else:
            series.put(float(datum.get("Value", 0)), at=at)

    def put_metric_alarm(self, name: str, **fields: Any) -> Alarm:
        """Create an alarm in INSUFFICIENT_DATA, or replace its rule and leave its state as it is."""
        with self.lock:
            before = self.alarms.get(name)
            alarm = super().put_metric_alarm(name=name, **fields)
            try:
                self.rules[name] = rule_of(alarm)
            except Exception:
                self._restore(name, before)
                raise
            self.evaluations.pop(name, None)
            if before is None:
                alarm.state_value = "INSUFFICIENT_DATA"
                self._record(name, "ConfigurationUpdate", f'Alarm "{name}" created', {"type": "Create"})
            else:
                alarm.state_value, alarm.state_reason = before.state_value, before.state_reason
                alarm.state_updated_timestamp = before.state_updated_timestamp
                self._record(name, "ConfigurationUpdate", f'Alarm "{name}" updated', {"type": "Update"})
            return alarm

    def _restore(self, name: str, before: Alarm | None) -> None:
        del self.alarms[name]
        if before is not None:
            self.alarms[name] = before

    def describe_alarms(self) -> list[Alarm]:
        """List the alarms as they are now. (moto hands out views, which break when another thread adds one.)"""
        with self.lock:
            return list(self.alarms.values())

    def get_alarms_by_alarm_names(self, alarm_names: list[str]) -> Iterable[Alarm]:
        """List alarms by name."""
        return [alarm for alarm in self.describe_alarms() if alarm.name in alarm_names]

    def get_alarms_by_alarm_name_prefix(self, name_prefix: str) -> Iterable[Alarm]:
        """List alarms by the beginning of their name."""
        return [alarm for alarm in self.describe_alarms() if alarm.name.startswith(name_prefix)]

    def get_alarms_by_action_prefix(self, action_prefix: str) -> Iterable[Alarm]:
        """List alarms by the beginning of one of their actions."""
        with self.lock:
            return list(super().get_alarms_by_action_prefix(action_prefix))

    def get_alarms_by_state_value(self, target_state: str) -> Iterable[Alarm]:
        """List the alarms in one state."""
        return [alarm for alarm in self.describe_alarms() if alarm.state_value == target_state]

    def delete_alarms(self, alarm_names: list[str]) -> None:
        """Forget alarms; unknown names are no error, as in moto."""
        with self.lock:
            for name in alarm_names:
                if self.alarms.pop(name, None) is not None:
                    self.rules.pop(name, None)
                    self.evaluations.pop(name, None)
                    self._record(name, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"})

    def set_alarm_state(self, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
        """Set a state by hand; it lasts until the next evaluation finds another."""
        with self.lock:
            before = self.alarms[alarm_name].state_value if alarm_name in self.alarms else ""
            super().set_alarm_state(alarm_name, reason, reason_data, state_value)
            self._record_change(alarm_name, before, state_value, reason)

    def evaluate(self) -> None:
        """Judge every alarm whose period has ended since it was last judged."""
        now = self.store.clock.now()
        with self.lock:
            for name, rule in tuple(self.rules.items()):
                ended = self.store.period_number(rule.watched.period, now) - 1
                last = self.evaluations.get(name)
                if last is None or ended > last.period_number:
                    self._evaluate_one(name, rule, ended, now)

    def _evaluate_one(self, name: str, rule: AlarmRule, ended: int, now: float) -> None:
        alarm, period = self.alarms[name], rule.watched.period
        first = ended + 1 - rule.threshold.evaluation_periods - EXTRA_PERIODS
        values = answer(self.store, rule.queries, lambda _: (first, ended + 1))[rule.watched.id]
        points = [
            Datapoint(self.store.period_start(period, number), values.get(number))
            for number in range(first, ended + 1)
        ]
        judgement = judge(rule.threshold, points, alarm.state_value)
        newest = judgement.evaluated[0].value if judgement.evaluated else None
        self.evaluations[name] = Evaluation(ended, newest)
        if judgement.state == alarm.state_value:
            return
        before, statistic = alarm.state_value, rule.watched.statistic
        data = reason_data(judgement, rule.threshold, statistic=statistic, period=period, now=now)
        alarm.update_state(judgement.reason, data, judgement.state)
        self._record_change(name, before, judgement.state, judgement.reason)

    def _record_change(self, name: str, before: str, after: str, reason: str) -> None:
        data = {
            "oldState": {"stateValue": before},
            "newState": {"stateValue": after, "stateReason": reason},
        }
        self._record(name, "StateUpdate", f"Alarm updated from {before} to {after}", data)

    def _record(self, name: str, kind: str, summary: str, data: dict[str, Any]) -> None:
        self.history.append(
            {
                "AlarmName": name,
                "AlarmType": "MetricAlarm",
                "Timestamp": datetime.fromtimestamp(self.store.clock.now(), UTC),
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps({"version": "1.0"} | data),
            }
        )


def _check_numbers(datum: dict[str, Any], number: int) -> None:
    summary = datum.get("StatisticValues") or {}
    values = [datum.get("Value", 0), *(datum.get("Values") or ()), *summary.values()]
    counts = [*(datum.get("Counts") or ()), *([summary["SampleCount"]] if summary else ())]
    if not all(math.isfinite(float(value)) for value in values):
        raise InvalidParameterValue(f"The values of MetricData.member.{number} must be finite numbers.")
    if not all(0 < float(count) < math.inf for count in counts):
        raise InvalidParameterValue(f"The counts of MetricData.member.{number} must be above 0.")


def _epoch(timestamp: datetime | None) -> float | None:
    if timestamp is None:
        return None
    return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
