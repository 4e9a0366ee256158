"""Schedule expressions: at(…), rate(…) and cron(…)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.autoscaling.schedule import BadScheduleError, Cron, read_schedule


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def due(expression: str, after: str, until: str, zone: str = "UTC") -> bool:
    is_due = read_schedule(expression, zone=zone, origin=epoch(after), scale=60.0)
    return is_due(epoch(after), epoch(until))


def days(day_of_month: str, day_of_week: str, month: str) -> list[int]:
    """Days of a month ("2026-11") that a cron expression matches."""
    cron = Cron.read(f"0 12 {day_of_month} * {day_of_week} *")
    first = datetime.fromisoformat(f"{month}-01T12:00:00")
    moments = [first + timedelta(days=number) for number in range(31)]
    return [moment.day for moment in moments if moment.month == first.month and cron.matches(moment)]


@pytest.mark.parametrize(
    ("day_of_month", "day_of_week", "month", "expected"),
    [
        ("*", "?", "2026-02", list(range(1, 29))),
        ("1,15-17", "?", "2026-11", [1, 15, 16, 17]),
        ("1/10", "?", "2026-11", [1, 11, 21]),
        ("L", "?", "2024-02", [29]),
        ("L", "?", "2026-02", [28]),
        ("15W", "?", "2026-11", [16]),
        ("14W", "?", "2026-11", [13]),
        ("1W", "?", "2026-08", [3]),
        ("31W", "?", "2026-05", [29]),
        ("31W", "?", "2026-11", []),
        ("LW", "?", "2026-05", [29]),
        ("?", "1", "2026-11", [1, 8, 15, 22, 29]),
        ("?", "SUN", "2026-11", [1, 8, 15, 22, 29]),
        ("?", "mon-wed", "2026-02", [2, 3, 4, 9, 10, 11, 16, 17, 18, 23, 24, 25]),
        ("?", "6L", "2026-11", [27]),
        ("?", "FRIL", "2026-11", [27]),
        ("?", "L", "2026-11", [7, 14, 21, 28]),
        ("?", "2#1", "2026-11", [2]),
        ("?", "MON#5", "2026-11", [30]),
        ("?", "MON#5", "2026-10", []),
        ("?", "3#5", "2026-11", []),
    ],
)
def test_days_of_a_cron_expression(
    day_of_month: str, day_of_week: str, month: str, expected: list[int]
) -> None:
    assert days(day_of_month, day_of_week, month) == expected


@given(
    moment=st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2030-01-01")),
    minutes=st.sets(st.integers(0, 59), min_size=1),
    hours=st.sets(st.integers(0, 23), min_size=1),
    months=st.sets(st.integers(1, 12), min_size=1),
)
def test_a_minute_matches_when_each_of_its_fields_does(
    moment: datetime, minutes: set[int], hours: set[int], months: set[int]
) -> None:
    texts = [",".join(map(str, numbers)) for numbers in (minutes, hours, months)]
    cron = Cron.read(f"{texts[0]} {texts[1]} ? {texts[2]} * 2026-2028")

    expected = moment.minute in minutes and moment.hour in hours and moment.month in months
    assert cron.matches(moment) is (expected and moment.year <= 2028)


@pytest.mark.parametrize(
    ("expression", "after", "until", "zone", "is_due"),
    [
        ("at(2026-11-22T15:00:00)", "2026-11-22T14:59:59", "2026-11-22T15:00:00", "UTC", True),
        ("at(2026-11-22T15:00:00)", "2026-11-22T15:00:00", "2026-11-22T16:00:00", "UTC", False),
        ("at(2026-07-01T15:00:00)", "2026-07-01T13:59:59", "2026-07-01T14:00:01", "Europe/Dublin", True),
        ("cron(0 9 ? * MON-FRI *)", "2026-11-20T08:59:59", "2026-11-20T09:00:00", "UTC", True),
        ("cron(0 9 ? * MON-FRI *)", "2026-11-21T08:59:59", "2026-11-21T09:00:00", "UTC", False),
        ("cron(0 9 * * ? *)", "2026-11-22T13:59:59", "2026-11-22T14:00:00", "America/New_York", True),
        ("cron(0 9 * * ? *)", "2026-07-22T13:59:59", "2026-07-22T14:00:00", "America/New_York", False),
        ("cron(30 1 29 3 ? 2026)", "2026-03-28T00:00:00", "2026-03-30T00:00:00", "Europe/London", False),
        ("cron(0/15 * * * ? *)", "2026-11-22T10:00:00", "2026-11-22T10:14:59", "UTC", False),
        ("cron(0/15 * * * ? *)", "2026-11-22T10:00:00", "2026-11-22T10:15:00", "UTC", True),
    ],
    ids=[
        "at its second",
        "once only",
        "at, in a time zone",
        "on a Friday",
        "not on a Saturday",
        "in winter time",
        "not in summer time",
        "a minute that daylight saving skips",
        "between two quarters",
        "at a quarter",
    ],
)
def test_dates_and_times_of_day_are_those_of_the_wall_clock(
    expression: str, after: str, until: str, zone: str, is_due: bool
) -> None:
    assert due(expression, after, until, zone) is is_due


@pytest.mark.parametrize(
    ("expression", "real_seconds", "is_due"),
    [
        ("rate(1 minute)", 0.9, False),
        ("rate(1 minute)", 1.0, True),
        ("rate(5 minutes)", 4.9, False),
        ("rate(5 minutes)", 5.0, True),
        ("rate(2 hours)", 120.0, True),
        ("rate(1 day)", 1439.0, False),
    ],
)
def test_a_rate_is_a_duration_and_passes_at_the_time_scale(
    expression: str, real_seconds: float, is_due: bool
) -> None:
    """At scale 60 a minute of AWS's takes a second."""
    rate = read_schedule(expression, zone="UTC", origin=1000.0, scale=60.0)

    assert rate(1000.0, 1000.0 + real_seconds) is is_due


@pytest.mark.parametrize(
    ("expression", "zone", "words"),
    [
        ("every day", "UTC", "none of at"),
        ("at(tomorrow)", "UTC", "tomorrow"),
        ("rate(0 minutes)", "UTC", "positive"),
        ("rate(5 weeks)", "UTC", "minutes, hours or days"),
        ("cron(0 9 * * *)", "UTC", "six fields, not 5"),
        ("cron(0 9 * * * *)", "UTC", "must be"),
        ("cron(60 9 * * ? *)", "UTC", "not within 0-59"),
        ("cron(0 9 ? * FUNDAY *)", "UTC", "FUNDAY"),
        ("cron(0 9 ? * FRI-MON *)", "UTC", "not within 1-7"),
        ("cron(0/0 9 * * ? *)", "UTC", "not within"),
        ("cron(0 9 * * ? *)", "Mars/Olympus", "Mars/Olympus"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, zone: str, words: str) -> None:
    with pytest.raises(BadScheduleError, match=words):
        read_schedule(expression, zone=zone, origin=0.0, scale=1.0)
