"""The highest cost of a run of the tests: declared instance-minutes × the price table of the repository."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

PRICES = Path(__file__).parents[3] / "config" / "prices.json"
REGION = "us-east-1"
INSTANCE_TYPE = "ml.m5.large"
INSTANCES, MINUTES = 1, 20
"""Instances and minutes of a test without a mark: one instance, from its launch to its deletion."""
SHARED_MINUTES = 2 * 45
"""Instance-minutes of the endpoint that lasts as long as a module's tests."""


@dataclass(frozen=True)
class Cost:
    """Instance-minutes of a run, one line each, and what they cost."""

    minutes: dict[str, int]
    hourly: float
    priced: str

    @property
    def total(self) -> float:
        return sum(self.minutes.values()) / 60 * self.hourly

    def lines(self) -> list[str]:
        """List the cost as text, the most expensive test first."""
        dearest = sorted(self.minutes.items(), key=lambda item: -item[1])
        hours = sum(self.minutes.values()) / 60
        return [
            *(f"{minutes:6} instance-minutes  {name}" for name, minutes in dearest),
            f"at most {hours:.1f} hours of {INSTANCE_TYPE} at {self.hourly} ({self.priced})",
            f"at most {self.total:.2f} USD, and a few cents for alarms, logs and the registry",
        ]


def cost_of(items: Iterable[pytest.Item]) -> Cost:
    """Add up what the tests declare by `@pytest.mark.sky(instances=…, minutes=…)`, and the endpoints they share."""
    minutes = {}
    for item in items:
        mark, fixtures = item.get_closest_marker("sky"), getattr(item, "fixturenames", ())
        if "serving" in fixtures:
            given = mark.kwargs if mark else {}
            name = item.nodeid.partition("::")[2]
            minutes[name] = given.get("instances", INSTANCES) * given.get("minutes", MINUTES)
        if "endpoint" in fixtures:
            minutes[f"the endpoint that tests of {item.path.name} share"] = SHARED_MINUTES
    table = json.loads(PRICES.read_text())
    prices = table["regions"][REGION]
    priced = f"{table['currency']} in {REGION}, as of {prices['as_of']}"
    return Cost(minutes, prices["hourly"][INSTANCE_TYPE], priced)
