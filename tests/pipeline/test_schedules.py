"""A schedule or time zone that AWS would refuse is refused when the config loads."""

from collections.abc import Callable
from typing import Any

import pytest

from local_aws.autoscaling.schedule import BadScheduleError, read_schedule
from pipeline.config import Environment
from pipeline.config.schedule import schedule_problem, timezone_problem

MakeEnv = Callable[..., Environment]
RIGHT = (
    "at(2026-12-24T20:00:00)",
    "rate(1 minute)",
    "rate(12 hours)",
    "cron(0 20 * * ? *)",
    "cron(0/15 8-18 ? * MON-FRI *)",
    "cron(30 6 ? JAN,JUL 2#1 2026-2030)",
    "cron(0 0 L * ? *)",
    "cron(0 0 15W * ? *)",
    "cron(0 0 ? * 6L *)",
)
WRONG = {
    "cron(0 20 * * ?)": "has 5 fields; AWS's cron has six (minutes, hours, day of month, month, day of week, "
    "year), the year last: cron(0 20 * * ? *)",
    "cron(0 20 * * * *)": "one of day of month and day of week must be ?",
    "cron(60 20 * * ? *)": "minutes 60 cannot be",
    "cron(0 24 * * ? *)": "hours 24 cannot be",
    "cron(0 20 32 * ? *)": "day of month 32 cannot be",
    "cron(0 20 * 13 ? *)": "month 13 cannot be",
    "cron(0 20 ? * MOON *)": "day of week MOON cannot be",
    "cron(0 20 * * ? 26)": "year 26 cannot be",
    "cron(0 5-3 * * ? *)": "hours 5-3 cannot be",
    "cron(*/0 20 * * ? *)": "minutes */0 cannot be",
    "rate(0 hours)": "write a whole number of minutes, hours or days",
    "rate(2 weeks)": "write a whole number of minutes, hours or days",
    "at(2026-12-24 20:00)": "write the time as at(2026-12-24T20:00:00)",
    "at(2026-13-24T20:00:00)": "write the time as at(2026-12-24T20:00:00)",
    "0 20 * * ? *": "is none of at(",
}


def is_taken(expression: str) -> bool:
    """Say whether the local AWS takes a schedule."""
    try:
        read_schedule(expression, zone="UTC", origin=0.0, scale=1.0)
    except BadScheduleError:
        return False
    return True


@pytest.mark.parametrize("schedule", RIGHT)
def test_a_schedule_that_aws_takes_is_taken(schedule: str) -> None:
    assert schedule_problem(schedule) is None
    assert is_taken(schedule)


@pytest.mark.parametrize(("schedule", "says"), WRONG.items())
def test_a_schedule_that_aws_refuses_is_refused_with_a_right_one(schedule: str, says: str) -> None:
    assert says in str(schedule_problem(schedule))
    assert not is_taken(schedule)


@pytest.mark.parametrize(
    ("timezone", "says"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Nowhere", "there is no time zone 'Nowhere'"),
        ("", "there is no time zone ''"),
    ],
)
def test_a_misspelt_time_zone_names_the_nearest_one(timezone: str, says: str) -> None:
    assert says in str(timezone_problem(timezone))
    assert timezone_problem("Europe/Berlin") is None


@pytest.mark.parametrize("wrong", [{"schedule": "cron(0 20 * * ?)"}, {"timezone": "Europe/Berln"}])
def test_the_config_does_not_load_with_it(make_env: MakeEnv, wrong: dict[str, Any]) -> None:
    night = {
        "name": "night",
        "schedule": "cron(0 20 * * ? *)",
        "timezone": "Europe/Berlin",
        "max_instances": 3,
    }
    assert make_env(autoscaling={"schedule": [night]}).autoscaling.schedule[0].name == "night"

    with pytest.raises(ValueError, match=r"AWS's cron has six|did you mean Europe/Berlin"):
        make_env(autoscaling={"schedule": [{**night, **wrong}]})
