"""The pipeline's alarms, judged by the local AWS's own CloudWatch over bakes drawn with a seed.

In each bake requests arrive at random (Poisson), the local AWS publishes of them what SageMaker does, and every alarm is
judged when its minute is over. `make prove` draws 240 bakes of a release that keeps its promise, 48 at each of five
rates, and as many of two that do not; `make test` draws a few.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from typing_extensions import override

from local_aws.clock import Clock
from local_aws.cloudwatch.rules import AlarmRule, rule_of
from local_aws.cloudwatch.store import MetricStore
from local_aws.cloudwatch.watch import judge_rule
from local_aws.measurements import Measurements
from local_aws.router import InvocationOutcome
from pipeline.config import Environment
from pipeline.deployment.alarm_odds import (
    METRICS_LATE_SECONDS,
    RATES,
    bakes_seconds,
    datapoints_seen,
    rules_of,
)
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.share_rule import at_least

BAKES = 48
UNLIKELY = 1e-4  # that a count this far from its expectation is chance
START = 1_800_000_000.0
Record = Callable[[str, object], None]
Rules = Mapping[str, AlarmRule]


class HandClock(Clock):
    """A clock that moves when told to; a second of it is one of AWS's."""

    def __init__(self) -> None:
        super().__init__(scale=1.0)
        self.at = START

    @override
    def now(self) -> float:
        return self.at


@dataclass(frozen=True)
class Behaviour:
    """A release: the shares, 0 to 1, of its requests that fail and that are slower than it promises."""

    failed: float
    slow: float


KEEPS = Behaviour(failed=0.001, slow=0.005)  # its promise: 1 % of each
JUST_KEEPS = Behaviour(failed=0.01, slow=0.01)
FAILS = Behaviour(failed=0.02, slow=0.0)
SLOW = Behaviour(failed=0.0, slow=0.10)


def rules(env: Environment) -> Rules:
    """Return the rules of the alarms on shares, as CloudWatch reads them."""
    put = [alarm for alarm in alarms_of(env, "new") if "Metrics" in alarm]
    return {alarm["AlarmName"].rpartition("/")[2]: rule_of(alarm) for alarm in put}


def rules_of_before(env: Environment) -> Rules:
    """Return those that the pipeline had: one datapoint with a p99 of 500 ms, or 1 % of errors."""
    names = {
        "EndpointName": env.endpoint.name,
        "VariantName": env.endpoint.variant,
        "EndpointConfigName": "new",
    }
    common = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    latency = {"MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Threshold": 500_000.0}
    errors = {"MetricName": "Invocation5XXErrors", "Statistic": "Average", "Threshold": 0.01}
    return {"p99-latency": rule_of(common | latency), "5xx-errors": rule_of(common | errors)}


def arrivals(draw: random.Random, rate: float, seconds: float) -> Iterator[float]:
    at = draw.expovariate(rate)
    while at < seconds:
        yield at
        at += draw.expovariate(rate)


def fired(
    env: Environment,
    watched: Rules,
    behaviour: Behaviour,
    rate: float,
    draw: random.Random,
    late: float = 0.0,
) -> set[str]:
    """Draw one deployment's bakes; return the alarms that fire before they are over."""
    clock = HandClock()
    store = MetricStore(clock, lambda _: late)
    measurements = Measurements(store)
    begins = START + 60 * draw.random()  # no deployment begins on the minute
    ends = begins + bakes_seconds(env)
    coming = arrivals(draw, rate, ends - begins)
    at = next(coming, None)
    found: set[str] = set()
    for minute in range(1, int((ends - START) // 60) + 1):
        while at is not None and begins + at < START + 60 * minute:
            clock.at = begins + at
            measurements.record(outcome(env, behaviour, draw))
            at = next(coming, None)
        clock.at = START + 60 * minute
        for name, rule in watched.items():
            judgement = judge_rule(store, rule, store.period_number(60, clock.at) - 1, "OK")
            if judgement is not None and judgement.state == "ALARM":
                found.add(name)
    return found


def outcome(env: Environment, behaviour: Behaviour, draw: random.Random) -> InvocationOutcome:
    seconds = 0.9 if draw.random() < behaviour.slow else draw.uniform(0.02, 0.3)
    return InvocationOutcome(
        endpoint=env.endpoint.name,
        variant=env.endpoint.variant,
        config="new",
        instance_id="i-1",
        instances=1,
        model_status=500 if draw.random() < behaviour.failed else 200,
        model_seconds=seconds,
        total_seconds=seconds,
        in_flight=1,
    )


def count_fired(
    env: Environment, watched: Rules, behaviour: Behaviour, rate: float, bakes: int, late: float = 0.0
) -> int:
    """Count the bakes, drawn with seeds 0, 1, 2 …, in which an alarm fires."""
    seeds = (random.Random(f"{rate} {seed}") for seed in range(bakes))
    return sum(bool(fired(env, watched, behaviour, rate, draw, late)) for draw in seeds)


def is_likely(count: int, bakes: int, chance: float) -> bool:
    """Check that a count is within the bounds of its binomial distribution."""
    return at_least(count, bakes, chance) > UNLIKELY and at_least(bakes - count, bakes, 1 - chance) > UNLIKELY


def chance_of_catching(env: Environment, behaviour: Behaviour, rate: float) -> tuple[float, float]:
    """Return bounds of the chance that `config alarms` would show: with one datapoint less, and with one more."""
    slow, failed = rules_of(env, is_live=False)
    seen, requests = datapoints_seen(env, bakes_seconds(env)), round(60 * rate)
    rule, share = (slow, behaviour.slow) if behaviour.slow else (failed, behaviour.failed)
    fewer, more = (rule.firing_chance(requests, share, seen + step) for step in (-1, 1))
    return fewer, more


@pytest.mark.parametrize("rate", [0.2, 1.0, 5.0])
def test_the_alarms_of_before_rolled_a_good_release_back_and_those_of_now_do_not(
    env: Environment, rate: float
) -> None:
    before, now = (
        count_fired(env, watched, KEEPS, rate, 12) for watched in (rules_of_before(env), rules(env))
    )

    assert before >= 2
    assert now == 0


@pytest.mark.parametrize("behaviour", [Behaviour(failed=1.0, slow=0.0), Behaviour(failed=0.0, slow=1.0)])
@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_a_release_of_which_nothing_is_right_is_caught_with_the_least_traffic(
    env: Environment, behaviour: Behaviour, rate: float
) -> None:
    assert count_fired(env, rules(env), behaviour, rate, 6, METRICS_LATE_SECONDS) == 6


def test_one_bad_minute_rolls_nothing_back(env: Environment) -> None:
    """A canary's first requests find cold files: all slow, and all in one minute."""
    clock = HandClock()
    store = MetricStore(clock)
    measurements, draw = Measurements(store), random.Random(1)
    states = []
    for minute in range(6):
        for second in range(60):
            clock.at = START + 60 * minute + second
            measurements.record(outcome(env, Behaviour(0.0, 1.0 if minute == 0 else 0.0), draw))
        clock.at = START + 60 * (minute + 1)
        judged = judge_rule(store, rules(env)["slow-requests"], store.period_number(60, clock.at) - 1, "OK")
        assert judged is not None
        states.append((judged.state, judged.evaluated[0].value))

    assert states == [("OK", 1.0), *[("OK", 0.0)] * 5]


def test_errors_of_callers_fire_no_alarm(env: Environment) -> None:
    clock = HandClock()
    store = MetricStore(clock)
    measurements = Measurements(store)
    for minute in range(3):
        for second in range(60):
            clock.at = START + 60 * minute + second
            good = outcome(env, Behaviour(0.0, 0.0), random.Random(0))
            measurements.record(InvocationOutcome(**{**vars(good), "model_status": 400}))
    clock.at = START + 180
    ended = store.period_number(60, clock.at) - 1

    assert {judgement_of(store, rule, ended) for rule in rules(env).values()} == {"OK"}


def judgement_of(store: MetricStore, rule: AlarmRule, ended: int) -> Any:
    judged = judge_rule(store, rule, ended, "OK")
    return judged.state if judged is not None else None


@pytest.mark.parametrize("rate", [1.0, 5.0])
@pytest.mark.parametrize("behaviour", [FAILS, SLOW], ids=["2 % fail", "10 % slow"])
def test_few_bakes_catch_as_many_as_the_formula_says(
    env: Environment, behaviour: Behaviour, rate: float
) -> None:
    catches_as_often_as_computed(env, behaviour, rate, bakes=8)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("behaviour", [KEEPS, JUST_KEEPS], ids=["keeps", "just keeps"])
def test_a_release_that_keeps_its_promise_is_not_rolled_back(
    env: Environment, behaviour: Behaviour, rate: float, record_property: Record
) -> None:
    """48 bakes at each of five rates; at most as many false alarms as the configured chance makes likely."""
    refused = count_fired(env, rules(env), behaviour, rate, BAKES)
    record_property("alarms", f"{rate:g}/s: {refused} of {BAKES} rolled back")

    chance = env.alarms.false_alarm_percent / 100 * (bakes_seconds(env) + 60) / 3600
    assert at_least(refused, BAKES, chance) > UNLIKELY
    assert behaviour is JUST_KEEPS or refused == 0


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("behaviour", [FAILS, SLOW], ids=["2 % fail", "10 % slow"])
def test_a_release_that_breaks_its_promise_is_caught_as_often_as_computed(
    env: Environment, behaviour: Behaviour, rate: float, record_property: Record
) -> None:
    caught = catches_as_often_as_computed(env, behaviour, rate, BAKES)
    record_property("alarms", f"{rate:g}/s: {caught} of {BAKES} caught")


def catches_as_often_as_computed(env: Environment, behaviour: Behaviour, rate: float, bakes: int) -> int:
    """Count the catches with metrics as late as AWS's, and compare them with the chance that is published."""
    caught = count_fired(env, rules(env), behaviour, rate, bakes, METRICS_LATE_SECONDS)
    fewer, more = chance_of_catching(env, behaviour, rate)
    assert at_least(caught, bakes, more) > UNLIKELY
    assert at_least(bakes - caught, bakes, 1 - fewer) > UNLIKELY
    return caught
