"""One alarm: the request that made it, the rule read from it, its state, and when it starts a scaling policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local_aws.cloudwatch.composite import CompositeRule
from local_aws.cloudwatch.limits import ACTIONS
from local_aws.cloudwatch.rules import AlarmRule


@dataclass(frozen=True)
class Trigger:
    """An alarm in a state that has a scaling policy among its actions."""

    alarm: str
    period_number: int
    """Number of the last judgement; each new one triggers again."""
    values: tuple[float, ...]
    """Datapoints that decided the state, newest first."""
    threshold: float


@dataclass
class Alarm:
    """A metric or composite alarm; moto uses `name`, `alarm_arn`, `actions_enabled` and `update_state`."""

    request: Mapping[str, Any]
    rule: AlarmRule | CompositeRule
    alarm_arn: str
    updated: datetime
    actions_enabled: bool = True
    state_value: str = "INSUFFICIENT_DATA"
    state_reason: str = "Unchecked: Initial alarm creation"
    state_reason_data: str = "{}"
    state_updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    judged: int = -1
    """Number of the last judgement, one for each of its looks."""
    values: tuple[float, ...] = ()
    children: Mapping[str, str | None] | None = None
    """States of a composite alarm's children at its last judgement."""

    @property
    def name(self) -> str:
        """Name of the alarm."""
        return str(self.request["AlarmName"])

    @property
    def kind(self) -> str:
        """`MetricAlarm` or `CompositeAlarm`."""
        return "MetricAlarm" if isinstance(self.rule, AlarmRule) else "CompositeAlarm"

    def depends_on(self, name: str) -> bool:
        """Check for a composite alarm with `name` in its rule."""
        return isinstance(self.rule, CompositeRule) and name in self.rule.names()

    def update_state(self, reason: str, reason_data: str, state_value: str) -> None:
        """Change the state."""
        self.state_value, self.state_reason, self.state_reason_data = state_value, reason, reason_data or "{}"
        self.state_updated = datetime.now(UTC)

    def trigger_of(self, action: str) -> Trigger | None:
        """Return the trigger of `action` in the present state; None when the alarm does not start it."""
        named = action in (self.request.get(ACTIONS[self.state_value]) or ())
        if not (named and self.actions_enabled and self.values and isinstance(self.rule, AlarmRule)):
            return None
        return Trigger(self.name, self.judged, self.values, self.rule.threshold.value)

    def described(self) -> dict[str, Any]:
        """Describe the alarm as DescribeAlarms does."""
        return {
            **dict.fromkeys(ACTIONS.values(), ()),
            **{name: value for name, value in self.request.items() if name != "Tags"},
            "AlarmArn": self.alarm_arn,
            "AlarmConfigurationUpdatedTimestamp": self.updated,
            "ActionsEnabled": self.actions_enabled,
            "StateValue": self.state_value,
            "StateReason": self.state_reason,
            "StateReasonData": self.state_reason_data,
            "StateUpdatedTimestamp": self.state_updated,
            "StateTransitionedTimestamp": self.state_updated,
        }
