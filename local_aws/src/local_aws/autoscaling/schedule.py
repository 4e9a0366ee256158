"""Schedules of scheduled actions: at(…), rate(…) and AWS's six-field cron(…).

Dates and times of day are wall-clock and never scaled: at(…), cron(…), StartTime and EndTime mean the hour that
the clock on the wall shows. A rate(…) is a duration of AWS's and passes at the time scale, from StartTime on,
which is its first time (I), or from its creation. In a time zone with daylight saving, a minute that is skipped
never comes and one that is repeated comes twice (I).
"""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EXPRESSION = re.compile(r"(at|rate|cron)\((.*)\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

IsDue = Callable[[float, float], bool]
"""Check for a time after the first and up to the second moment (epoch seconds)."""


class BadScheduleError(ValueError):
    """A schedule that cannot be read; the message says why."""


def read_schedule(expression: str, *, zone: str, origin: float, scale: float) -> IsDue:
    """Read a Schedule; `origin` is what a rate counts from. Raises BadScheduleError."""
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise BadScheduleError(f"Schedule {expression!r} is none of at(…), rate(…) and cron(…).")
    try:
        where = ZoneInfo(zone)
        if match[1] == "at":
            moment = datetime.strptime(match[2], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=where).timestamp()
            return lambda after, until: after < moment <= until
        if match[1] == "rate":
            step = _seconds(match[2]) / scale
            return lambda after, until: (until - origin) // step > (after - origin) // step
        cron = Cron.read(match[2])
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise BadScheduleError(f"Schedule {expression!r} in time zone {zone!r}: {error}") from error

    def is_due(after: float, until: float) -> bool:
        minutes = range(int(after // 60) + 1, int(until // 60) + 1)
        return any(cron.matches(datetime.fromtimestamp(minute * 60, where)) for minute in minutes)

    return is_due


def _seconds(rate: str) -> int:
    value, _, unit = rate.partition(" ")
    if not value.isdigit() or int(value) < 1 or unit.removesuffix("s") not in _UNITS:
        raise ValueError(f"{rate!r} is not a positive number of minutes, hours or days")
    return int(value) * _UNITS[unit.removesuffix("s")]


@dataclass(frozen=True)
class Cron:
    """Minutes, hours, day of month, month, day of week (1 = Sunday), year."""

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    is_day_of_month: Callable[[date], bool]
    is_day_of_week: Callable[[date], bool]

    @classmethod
    def read(cls, text: str) -> "Cron":
        """Read the six fields. Raises ValueError."""
        if len(fields := text.upper().split()) != 6:
            raise ValueError(f"cron has six fields, not {len(fields)}")
        minutes, hours, month_day, months, week_day, years = fields
        if "?" not in (month_day, week_day):
            raise ValueError("one of day of month and day of week must be ?")
        return cls(
            _numbers(minutes, 0, 59),
            _numbers(hours, 0, 23),
            _numbers(months, 1, 12, _MONTHS),
            _numbers(years, 1970, 2199),
            _day_of_month(month_day),
            _day_of_week(week_day),
        )

    def matches(self, now: datetime) -> bool:
        """Check whether the expression names this minute."""
        return (
            now.minute in self.minutes
            and now.hour in self.hours
            and now.month in self.months
            and now.year in self.years
            and self.is_day_of_month(now.date())
            and self.is_day_of_week(now.date())
        )


def _numbers(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """Read a list of numbers, ranges and steps: `1,5-9`, `MON-FRI`, `*`, `0/15`. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        ends = [
            names.index(end) + low if end in names else int(end) for end in span.split("-") if span != "*"
        ]
        first, last = (ends[0], ends[-1]) if ends else (low, high)
        if step and len(ends) == 1:
            last = high
        if len(ends) > 2 or not low <= first <= last <= high or (step and int(step) < 1):
            raise ValueError(f"{part!r} is not within {low}-{high}")
        found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _day_of_month(text: str) -> Callable[[date], bool]:
    """Read `?`, `L` (the last), `15W` (the weekday nearest to the 15th), `LW`, or numbers."""
    if text == "?":
        return lambda _: True
    if match := re.fullmatch(r"(L|[1-9]|[12]\d|3[01])(W?)", text):
        number, nearest = match.groups()
        if number == "L" or nearest:
            return lambda day: (
                day.day == _only_day(day, None if number == "L" else int(number), bool(nearest))
            )
    days = _numbers(text, 1, 31)
    return lambda day: day.day in days


def _only_day(month: date, number: int | None, nearest_weekday: bool) -> int | None:
    """Return the day of the month for `number` (None: the last), or the nearest weekday of that month."""
    length = calendar.monthrange(month.year, month.month)[1]
    if number is not None and number > length:
        return None
    day = month.replace(day=number or length)
    if nearest_weekday and day.weekday() >= 5:
        shift = -1 if day.weekday() == 5 else 1
        if not 1 <= day.day + shift <= length:
            shift *= -2
        day += timedelta(days=shift)
    return day.day


def _day_of_week(text: str) -> Callable[[date], bool]:
    """Read `?`, `L` (Saturday), `6L` (the last Friday), `2#1` (the first Monday), numbers or names."""
    if text == "?":
        return lambda _: True
    match = re.fullmatch(r"(\w+?)(?:(L)|#([1-5]))", text)
    days = _numbers("7" if text == "L" else match[1] if match else text, 1, 7, _WEEKDAYS)

    def is_day(day: date) -> bool:
        if day.isoweekday() % 7 + 1 not in days:
            return False
        if match is None or text == "L":
            return True
        week = (day.day - 1) // 7 + 1
        return (day + timedelta(days=7)).month != day.month if match[2] else week == int(match[3])

    return is_day
