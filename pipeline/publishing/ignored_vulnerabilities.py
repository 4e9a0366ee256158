"""Vulnerabilities that are ignored for a time: .grype.yaml, read by the scan of CI and by this pipeline.

Grype has no end date for an exception: it is at the beginning of each entry's `reason`.
"""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError
from pipeline.model import Model

IGNORED = Path(".grype.yaml")
LONGEST_DAYS = 92
_REASON = re.compile(r"until (\d{4}-\d{2}-\d{2}): *(\S.*)")


class IgnoredVulnerability(Model):
    """One exception. It applies through the day `until`."""

    vulnerability: str
    until: date
    reason: str

    def applies(self, today: date) -> bool:
        return today <= self.until


def read_ignored(path: Path = IGNORED) -> tuple[IgnoredVulnerability, ...]:
    """Return every exception; none without the file. Raises ConfigError naming each that is incomplete."""
    if not path.is_file():
        return ()
    try:
        rules = (yaml.safe_load(path.read_text()) or {}).get("ignore") or []
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", fix="Correct the line it names.") from error
    found, wrong = _parsed(rules)
    if wrong:
        raise ConfigError(
            f"{path} ignores without vulnerability, day or reason: {'; '.join(wrong)}.",
            fix='Write each entry as {vulnerability: CVE-…, reason: "until YYYY-MM-DD: why"}.',
        )
    return tuple(found)


def _parsed(rules: Sequence[dict[str, Any]]) -> tuple[list[IgnoredVulnerability], list[str]]:
    """Return the exceptions that are complete, and the others as they are written."""
    found, wrong = [], []
    for rule in rules:
        match = _REASON.fullmatch(str(rule.get("reason", "")))
        day = _day(match[1]) if match else None
        if match is None or day is None or "vulnerability" not in rule:
            wrong.append(str(rule))
        else:
            found.append(
                IgnoredVulnerability(vulnerability=str(rule["vulnerability"]), until=day, reason=match[2])
            )
    return found, wrong


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def problems(ignored: Sequence[IgnoredVulnerability], today: date) -> list[str]:
    """Return the exceptions that have ended, or that would apply for too long."""
    ended = [f"{each.vulnerability} held until {each.until}" for each in ignored if not each.applies(today)]
    long = [
        f"{each.vulnerability} would hold until {each.until}: at most {LONGEST_DAYS} days"
        for each in ignored
        if (each.until - today).days > LONGEST_DAYS
    ]
    return ended + long
