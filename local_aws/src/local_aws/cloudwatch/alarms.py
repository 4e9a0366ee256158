"""The alarms, for the rest of this AWS: evaluate them all, read a state by name."""

from collections.abc import Sequence
from typing import Any

from moto.cloudwatch.exceptions import CloudWatchException
from moto.cloudwatch.models import cloudwatch_backends

from local_aws.cloudwatch.alarm import Trigger
from local_aws.cloudwatch.backend import StoreBackend
from local_aws.cloudwatch.store import MetricStore
from local_aws.errors import invalid
from local_aws.places import HOME, Place


class Alarms:
    """The alarms of one account and Region."""

    def __init__(self, place: Place = HOME) -> None:
        self._place = place

    @property
    def store(self) -> MetricStore:
        """The metrics that they watch."""
        return self._own.store

    def tick(self) -> None:
        """Judge every alarm whose period has ended since the last call. Cheap when none has."""
        self._own.evaluate()

    def state(self, name: str) -> str | None:
        """Return `OK`, `ALARM` or `INSUFFICIENT_DATA`; None when there is no such alarm."""
        alarm = self._own.alarms.get(name)
        return None if alarm is None else alarm.state_value

    def triggers(self, action: str) -> list[Trigger]:
        """List the alarms that start `action` (an ARN) in the state they are in."""
        found = (alarm.trigger_of(action) for alarm in self._own.alarms.values())
        return [trigger for trigger in found if trigger is not None]

    def put(self, request: dict[str, Any]) -> str:
        """Create or replace an alarm by a PutMetricAlarm request; return its ARN. Raises AwsError."""
        try:
            return self._own.put_alarm(request).alarm_arn
        except CloudWatchException as error:
            raise invalid(str(error.message)) from error

    def delete(self, names: Sequence[str]) -> None:
        """Delete alarms, even those that composite alarms name."""
        self._own.forget(names)

    def summary(self) -> list[dict[str, str]]:
        """List name, kind, state and reason of every alarm, for `status`."""
        return [
            {"name": one.name, "kind": one.kind, "state": one.state_value, "reason": one.state_reason}
            for one in self._own.alarms.values()
        ]

    @property
    def _own(self) -> StoreBackend:
        backend = cloudwatch_backends[self._place.account][self._place.region]
        assert isinstance(backend, StoreBackend)
        return backend
