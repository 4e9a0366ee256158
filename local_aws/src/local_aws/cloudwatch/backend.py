"""moto's CloudWatch with our metric store and a real evaluation of alarms behind it.

moto keeps tags, dashboards and insight rules; this subclass keeps metrics, alarms and their history. Request
threads and the ticker both call it, hence the lock.
"""

import json
import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.utils import make_arn_for_alarm

from local_aws.cloudwatch.alarm import Alarm
from local_aws.cloudwatch.composite import BadRuleError, CompositeRule
from local_aws.cloudwatch.evaluation import reason_data
from local_aws.cloudwatch.limits import check_actions, check_data
from local_aws.cloudwatch.notifications import notify
from local_aws.cloudwatch.rules import AlarmRule, Request, refuse_what_is_not_imitated, rule_of
from local_aws.cloudwatch.store import COARSE_SECONDS, MetricStore
from local_aws.cloudwatch.watch import judge_rule, look_seconds

HISTORY_ITEMS = 10_000
FUTURE_SECONDS = 2 * 3600


class AlarmBook(dict[str, Alarm]):
    """Alarms by name. Its `values` are a copy: moto walks over them while another thread adds one."""

    def values(self) -> tuple[Alarm, ...]:  # type: ignore[override]
        """List the alarms as they are now."""
        return tuple(super().values())


class StoreBackend(CloudWatchBackend):  # type: ignore[misc]  # moto is untyped here
    """The CloudWatch of one account and region."""

    def __init__(self, region_name: str, account_id: str, store: MetricStore) -> None:
        super().__init__(region_name, account_id)
        self.store = store
        self.lock = threading.RLock()
        self.alarms = AlarmBook()
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY_ITEMS)

    @property
    def _url_module(self) -> Any:
        return urls  # moto would derive it from this class's own module

    def reset(self) -> None:
        """Delete alarms and history (moto's reset call); metrics and endpoints stay."""
        self.__dict__ = StoreBackend(self.region_name, self.account_id, self.store).__dict__

    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Store a client's data; store nothing when one datum is invalid."""
        for number, datum in enumerate(metric_data, 1):
            self._validate_parameters_put_metric_data(datum, number)
            self._check_time(datum, number)
        check_data(namespace, metric_data)
        for datum in metric_data:
            self._put_datum(namespace, datum)

    def _check_time(self, datum: dict[str, Any], number: int) -> None:
        clock = self.store.clock
        at, now, scale = _epoch(datum.get("Timestamp")), clock.machine_time(), clock.scale
        if at is not None and not now - COARSE_SECONDS / scale <= at <= now + FUTURE_SECONDS / scale:
            raise InvalidParameterValue(
                f"The parameter MetricData.member.{number}.Timestamp must be within the past "
                f"{COARSE_SECONDS // 86400} days and the next {FUTURE_SECONDS // 3600} hours of AWS time "
                f"(this local AWS passes {scale:g} AWS seconds a second)."
            )

    def _put_datum(self, namespace: str, datum: dict[str, Any]) -> None:
        dimensions = {d["Name"]: d["Value"] for d in datum.get("Dimensions", ())}
        unit, sent = datum.get("Unit") or "None", _epoch(datum.get("Timestamp"))
        at = None if sent is None else self.store.meant(sent)
        series = self.store.series(namespace, datum["MetricName"], dimensions, unit=unit)
        series.is_high_resolution |= datum.get("StorageResolution") == 1
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

    def put_alarm(self, request: Request) -> Alarm:
        """Create an alarm in INSUFFICIENT_DATA, or replace its rule and leave its state as it is.

        `request` is one of PutMetricAlarm or PutCompositeAlarm. Raises moto's CloudWatch errors.
        """
        refuse_what_is_not_imitated(request)
        check_actions(request)
        name, enabled = str(request["AlarmName"]), request.get("ActionsEnabled")
        with self.lock:
            rule = self._composite_of(request) if "AlarmRule" in request else rule_of(request)
            arn = make_arn_for_alarm(self.region_name, self.account_id, name)
            alarm = Alarm(request, rule, arn, datetime.now(UTC), enabled is not False)
            before = self.alarms.get(name)
            if before is not None:
                if before.kind != alarm.kind:
                    raise ValidationError(f"{name} is a {before.kind}, and stays one until it is deleted.")
                alarm.update_state(before.state_reason, before.state_reason_data, before.state_value)
                alarm.state_updated = before.state_updated
            self.alarms[name] = alarm
            if request.get("Tags"):
                self.tagger.tag_resource(arn, request["Tags"])
            self._record_configuration(alarm, "Update" if before else "Create")
            return alarm

    def _composite_of(self, request: Request) -> CompositeRule:
        try:
            rule = CompositeRule.read(request["AlarmRule"])
        except BadRuleError as error:
            raise ValidationError(str(error)) from error
        if absent := sorted(rule.names() - self.alarms.keys()):
            raise ValidationError(
                f"Could not save the composite alarm as alarms [{', '.join(absent)}] in the alarm rule do not exist"
            )
        return rule

    def delete_alarms(self, alarm_names: list[str]) -> None:
        """Delete alarms; unknown names are no error, as in moto. Raises ValidationError for a composite alarm's child."""
        with self.lock:
            staying = [alarm for name, alarm in self.alarms.items() if name not in alarm_names]
            for name in alarm_names:
                if any(alarm.depends_on(name) for alarm in staying):
                    text = f"Cannot delete {name} as there are composite alarm(s) depending on it."
                    raise ValidationError(text)
            self.forget(alarm_names)

    def forget(self, names: Sequence[str]) -> None:
        """Delete alarms, even children of composite alarms."""
        with self.lock:
            for name in names:
                if (alarm := self.alarms.pop(name, None)) is not None:
                    self._record_configuration(alarm, "Delete")

    def set_alarm_state(self, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
        """Set a state by hand; it lasts until the next evaluation finds another."""
        with self.lock:
            before = self.alarms[alarm_name].state_value if alarm_name in self.alarms else ""
            super().set_alarm_state(alarm_name, reason, reason_data, state_value)
            self._record_change(self.alarms[alarm_name], before)

    def evaluate(self) -> None:
        """Judge each metric alarm that is due since its last judgement, then the composite alarms."""
        now = self.store.clock.now()
        with self.lock:
            for alarm in self.alarms.values():
                if isinstance(alarm.rule, AlarmRule):
                    ended = self.store.period_number(look_seconds(alarm.rule), now) - 1
                    if ended > alarm.judged:
                        self._judge(alarm, alarm.rule, ended)
            for alarm in self.alarms.values():
                if isinstance(alarm.rule, CompositeRule):
                    self._compose(alarm, alarm.rule)

    def _judge(self, alarm: Alarm, rule: AlarmRule, ended: int) -> None:
        alarm.judged = ended
        judgement = judge_rule(self.store, rule, ended, alarm.state_value)
        if judgement is None:
            return
        alarm.values = tuple(point.value for point in judgement.evaluated if point.value is not None)
        statistic = rule.watched.statistic
        now, period = self.store.clock.machine_time(), rule.watched.period
        data = reason_data(judgement, rule.threshold, statistic=statistic, period=period, now=now)
        self._change(alarm, judgement.state, judgement.reason, data)

    def _compose(self, alarm: Alarm, rule: CompositeRule) -> None:
        """Judge a composite alarm if a child has changed; a state set by hand lasts until then."""
        children = {name: self.alarms.get(name) for name in rule.names()}
        states = {name: child.state_value if child else None for name, child in children.items()}
        if states == alarm.children:
            return
        changed = [
            c for name, c in children.items() if c and states[name] != (alarm.children or {}).get(name)
        ]
        alarm.children = states
        trigger = max(changed, key=lambda child: child.state_updated, default=None)
        reason = f"{alarm.name} was evaluated for the first time: its rule names no alarm"
        data: dict[str, Any] = {"triggeringAlarms": []}
        if trigger is not None:
            when = trigger.state_updated
            reason = f"{trigger.alarm_arn} transitioned to {trigger.state_value} at {when:%A %d %B, %Y %H:%M:%S} UTC"
            state = {"value": trigger.state_value, "timestamp": when.isoformat()}
            data["triggeringAlarms"].append({"arn": trigger.alarm_arn, "state": state})
        self._change(alarm, "ALARM" if rule.holds(states.get) else "OK", reason, json.dumps(data))

    def _change(self, alarm: Alarm, state: str, reason: str, data: str) -> None:
        before = alarm.state_value
        if state != before:
            alarm.update_state(reason, data, state)
            self._record_change(alarm, before)

    def _record_change(self, alarm: Alarm, before: str) -> None:
        new = {"stateValue": alarm.state_value, "stateReason": alarm.state_reason}
        summary = f"Alarm updated from {before} to {alarm.state_value}"
        self._record(alarm, "StateUpdate", summary, {"oldState": {"stateValue": before}, "newState": new})
        if alarm.state_value != before:
            notify(alarm, before, self._record_action)

    def _record_action(self, alarm: Alarm, summary: str, data: dict[str, str]) -> None:
        self._record(alarm, "Action", summary, data)

    def _record_configuration(self, alarm: Alarm, change: str) -> None:
        summary = f'Alarm "{alarm.name}" {change.lower()}d'
        self._record(alarm, "ConfigurationUpdate", summary, {"type": change})

    def _record(self, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> None:
        self.history.append(
            {
                "AlarmName": alarm.name,
                "AlarmType": alarm.kind,
                "Timestamp": datetime.fromtimestamp(self.store.clock.machine_time(), UTC),
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps({"version": "1.0"} | data),
            }
        )


def _epoch(timestamp: datetime | None) -> float | None:
    if timestamp is None:
        return None
    return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
