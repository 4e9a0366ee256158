"""The alarms as the rest of this AWS sees them: one tick for all, one state by name."""

from collections.abc import Sequence
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from local_aws.cloudwatch.backend import StoreBackend
from local_aws.settings import ACCOUNT_ID, REGION


class Alarms:
    """Evaluates the alarms of every region; speaks of those of this AWS's own account and region."""

    def tick(self) -> None:
        """Judge every alarm whose period has ended since the last call. Cheap when none has."""
        for _, _, backend in tuple(cloudwatch_backends.iter_backends()):
            if isinstance(backend, StoreBackend):
                backend.evaluate()

    def state(self, name: str) -> str | None:
        """`OK`, `ALARM` or `INSUFFICIENT_DATA`; None when there is no such alarm."""
        alarm = self._own.alarms.get(name)
        return None if alarm is None else str(alarm.state_value)

    def breach(self, name: str) -> tuple[int, float] | None:
        """Number of the period that was judged last and its value, for an alarm in ALARM; else None."""
        look = self._own.evaluations.get(name)
        if look is None or look.value is None or self.state(name) != "ALARM":
            return None
        return look.period_number, look.value

    def put(self, name: str, **fields: Any) -> str:
        """Create or replace an alarm, with the fields of moto's `put_metric_alarm`; return its ARN."""
        return str(self._own.put_metric_alarm(name, **fields).alarm_arn)

    def delete(self, names: Sequence[str]) -> None:
        """Forget alarms."""
        self._own.delete_alarms(list(names))

    @property
    def _own(self) -> StoreBackend:
        backend = cloudwatch_backends[ACCOUNT_ID][REGION]
        assert isinstance(backend, StoreBackend)
        return backend
