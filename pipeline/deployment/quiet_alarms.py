"""Wait until no alarm of a new fleet is in ALARM: one that is would roll the deployment back at once."""

from collections.abc import Mapping
from typing import Any

from pipeline.aws.waiting import wait_until
from pipeline.deployment.alarms import alarms_of
from pipeline.errors import AlarmNotQuiet
from pipeline.run import Run


def require_quiet_alarms(config: str, run: Run) -> None:
    """Return once every alarm of the new fleet exists and none is in ALARM.

    One may be after an earlier attempt with the same release. Raises AlarmNotQuiet after two of its periods.
    """
    names = [alarm["AlarmName"] for alarm in alarms_of(run.env, config)]
    wait_until(
        lambda: _loud(names, run.aws.alarms(names=names)),
        lambda loud: not loud,
        2.0 * run.env.alarms.period_seconds * run.env.alarms.evaluation_periods,
        run.clock,
        timed_out=lambda loud, _: AlarmNotQuiet(
            f"Before any traffic: {', '.join(f'{name} is {state}' for name, state in loud.items())}.",
            fix="Look at the alarm's history in CloudWatch; wait until it is OK, then deploy again.",
        ),
    )


def _loud(names: list[str], found: list[dict[str, Any]]) -> Mapping[str, str]:
    states = {alarm["AlarmName"]: str(alarm["StateValue"]) for alarm in found}
    return {
        name: states.get(name, "missing")
        for name in names
        if states.get(name) not in {"OK", "INSUFFICIENT_DATA"}
    }
