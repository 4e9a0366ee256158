"""Schedules and time zones of scheduled bounds, as Application Auto Scaling reads them. Pure."""

import re
from datetime import datetime
from difflib import get_close_matches
from zoneinfo import available_timezones

_EXPRESSION = re.compile(r"(at|rate|cron)\((.*)\)")
_RATE = re.compile(r"[1-9]\d* (minutes?|hours?|days?)")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY_OF_MONTH = re.compile(r"\?|L|LW|([1-9]|[12]\d|3[01])W")
_DAY_OF_WEEK = re.compile(r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])")
_FIELDS = ("minutes", "hours", "day of month", "month", "day of week", "year")


def schedule_problem(expression: str) -> str | None:
    """Return the fault of a schedule, with a right one; None when AWS takes it."""
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        return f"'{expression}' is none of at(2026-12-24T20:00:00), rate(12 hours) and cron(0 20 * * ? *)"
    kind, text = match.groups()
    if kind == "at":
        return None if _is_moment(text) else f"'{expression}': write the time as at(2026-12-24T20:00:00)"
    if kind == "rate":
        right = "write a whole number of minutes, hours or days, as in rate(12 hours)"
        return None if _RATE.fullmatch(text) else f"'{expression}': {right}"
    return _cron_problem(expression, text.upper().split())


def timezone_problem(name: str) -> str | None:
    """Return the fault of a time zone's name, with the closest right one; None for a name of the IANA database."""
    known = available_timezones()
    if name in known:
        return None
    by_folded = {zone.casefold(): zone for zone in known}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    meant = f"; did you mean {by_folded[close[0]]}?" if close else "; write it as in Europe/Berlin"
    return f"there is no time zone '{name}'{meant}"


def _is_moment(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - its zone is a setting of its own
    except ValueError:
        return False
    return True


def _cron_problem(expression: str, fields: list[str]) -> str | None:
    if len(fields) != len(_FIELDS):
        year = (
            f", the year last: cron({' '.join(fields[:5]).lower()} *)"
            if len(fields) == len(_FIELDS) - 1
            else ""
        )
        return f"'{expression}' has {len(fields)} fields; AWS's cron has six ({', '.join(_FIELDS)}){year}"
    minutes, hours, month_day, months, week_day, years = fields
    if "?" not in (month_day, week_day):
        return f"'{expression}': one of day of month and day of week must be ?, as in cron(0 20 * * ? *)"
    are_right = (
        _are_numbers(minutes, 0, 59),
        _are_numbers(hours, 0, 23),
        bool(_DAY_OF_MONTH.fullmatch(month_day)) or _are_numbers(month_day, 1, 31),
        _are_numbers(months, 1, 12, _MONTHS),
        bool(_DAY_OF_WEEK.fullmatch(week_day)) or _are_numbers(week_day, 1, 7, _WEEKDAYS),
        _are_numbers(years, 1970, 2199),
    )
    wrong = [
        f"{field} {given}"
        for field, given, is_right in zip(_FIELDS, fields, are_right, strict=True)
        if not is_right
    ]
    return f"'{expression}': {', '.join(wrong)} cannot be" if wrong else None


def _are_numbers(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> bool:
    """Say whether a field is a list of numbers or names, ranges and steps within the bounds: `1,5-9`, `*`, `0/15`."""
    return all(_is_span(part, low, high, names) for part in text.split(","))


def _is_span(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdigit() and int(step) >= 1):
        return False
    if span == "*":
        return True
    ends = [
        names.index(end) + low if end in names else int(end)
        for end in span.split("-")
        if _is_value(end, names)
    ]
    return 1 <= len(ends) <= 2 and len(ends) == len(span.split("-")) and low <= ends[0] <= ends[-1] <= high


def _is_value(text: str, names: tuple[str, ...]) -> bool:
    return text in names or text.isdigit()
