"""The odds of an environment's alarms, derived from its promises, and as `config alarms` shows them."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.__main__ import PIPELINE
from pipeline.config import Environment
from pipeline.deployment.alarm_odds import HOUR_SECONDS, RATES, alarm_odds, bakes_seconds, rules_of
from pipeline.deployment.alarms import alarms_of
from tests.pipeline.scene import ROOT

MakeEnv = Callable[..., Environment]


def test_every_alarm_on_a_share_is_shown_at_every_rate_and_the_others_are_named(make_env: MakeEnv) -> None:
    cpu = {"name": "cpu", "metric": "CPUUtilization", "statistic": "Maximum", "threshold": 90}
    found = alarm_odds(make_env(alarms={"custom": [cpu], "named": ["mine"]}))

    names = ("slow-requests", "5xx-errors", "model-errors")
    assert [(each.alarm, each.requests_per_second) for each in found.odds] == [
        (name, rate) for name in names for rate in RATES
    ]
    assert found.not_estimated == ("smoke-veto", "cpu", "mine")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_release_that_just_keeps_its_promise_is_hardly_ever_rolled_back(environment: str) -> None:
    answer = CliRunner().invoke(PIPELINE, ["config", "alarms", "--env", environment, "--json"])
    odds = json.loads(answer.output)["odds"]

    assert all(each["rolls_back_good"] <= 0.3 for each in odds)
    assert [each["misses_bad"] < 50 for each in odds] == [rate >= 20 for rate in RATES] * 3


def test_the_chances_are_those_of_bakes_drawn_with_a_seed(make_env: MakeEnv) -> None:
    """A release with 2 % errors at 20 requests a second, in as many datapoints as are seen in time."""
    env, draw, bakes = make_env(), random.Random(15), 1000
    found = alarm_odds(env)
    (shown,) = [e for e in found.odds if (e.alarm, e.requests_per_second) == ("5xx-errors", 20.0)]

    missed = 0
    for _ in range(bakes):
        bad = [sum(draw.random() < 0.02 for _ in range(1200)) for _ in range(found.datapoints_seen)]
        missed += sum(count >= shown.fewest_bad for count in bad) < env.alarms.datapoints_to_alarm

    assert 100 * missed / bakes == pytest.approx(shown.misses_bad, abs=5)


@pytest.mark.parametrize(
    ("changes", "seconds", "at_most", "seen"),
    [
        ({}, 360, 7, 3),
        ({"bake_seconds": 120, "termination_wait_seconds": 0}, 120, 3, 0),
        ({"strategy": "linear", "linear_percent": 25}, 960, 17, 13),
    ],
)
def test_a_longer_bake_has_more_datapoints_and_late_ones_are_not_seen(
    make_env: MakeEnv, changes: dict[str, Any], seconds: int, at_most: int, seen: int
) -> None:
    found = alarm_odds(make_env(deployment=changes))

    assert (found.bake_seconds, found.datapoints_at_most, found.datapoints_seen) == (seconds, at_most, seen)


def test_a_strategy_that_is_taken_once_changes_no_alarm(make_env: MakeEnv) -> None:
    """`status` would call it drift. So the rules are those of an hour, and no deployment here bakes longer."""
    canary, all_at_once = make_env(), make_env(deployment={"strategy": "all_at_once"})

    assert rules_of(canary, is_live=False) == rules_of(all_at_once, is_live=False)
    assert bakes_seconds(canary) < HOUR_SECONDS


@pytest.mark.parametrize(
    ("alarms", "limits", "promised"),
    [
        ({}, {}, (0.01, 0.01)),
        ({}, {"error_percent": 0.5}, (0.01, 0.005)),
        ({"error_percent": 0.5}, {"error_percent": 2.0}, (0.01, 0.005)),
    ],
)
def test_the_promise_is_that_of_the_limits_unless_the_alarms_have_their_own(
    make_env: MakeEnv, alarms: dict[str, Any], limits: dict[str, Any], promised: tuple[float, float]
) -> None:
    rules = rules_of(make_env(alarms=alarms, limits=limits), is_live=False)

    assert tuple(rule.promised for rule in rules) == promised


@pytest.mark.parametrize(("percent", "fewest"), [(0.0, 2), (100.0, 1201)])
def test_a_promise_of_no_error_or_of_none_without_is_a_rule_too(
    make_env: MakeEnv, percent: float, fewest: int
) -> None:
    _, failed = rules_of(make_env(limits={"error_percent": percent}), is_live=False)

    assert min(failed.fewest_bad(1200), 1201) == fewest


def test_the_table_is_for_people(make_env: MakeEnv) -> None:
    first, *table = alarm_odds(make_env()).sentences()

    assert first.startswith("staging: 360 s of bakes, at most 7 datapoints; 3 are seen in time")
    assert sum(line.startswith("slow-requests") for line in table) == len(RATES)
    assert table[-1] == "not estimated: smoke-veto"


def test_the_published_table_is_the_one_that_is_computed(make_env: MakeEnv) -> None:
    """docs/verdicts.md shows five rows of the rate, the requests, the bad ones and both chances."""
    page = (ROOT / "docs" / "verdicts.md").read_text()
    odds = [each for each in alarm_odds(make_env()).odds if each.alarm == "5xx-errors"]

    for each in odds:
        digits = 0 if each.misses_bad > 99.95 else 1
        assert (
            f"| {each.requests_per_second:g} | {each.requests:,} | {each.fewest_bad} | "
            f"{each.rolls_back_good:.2f} % | {each.misses_bad:.{digits}f} % |\n"
        ) in page


def test_the_published_expression_is_the_one_that_is_put(make_env: MakeEnv) -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()

    for query in alarms_of(make_env(), "new")[0]["Metrics"]:
        assert (query.get("Expression") or query["MetricStat"]["Stat"]) in page
