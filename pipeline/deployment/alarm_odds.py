"""The rules of an environment's alarms, derived from what it promises, and how often they err. Pure."""

import math

from pipeline.config import Environment
from pipeline.deployment.share_rule import ShareRule, deviations_of
from pipeline.model import Model

SLOW_SHARE = 0.01  # of the requests may be slower than a p99
PROMISES = 2  # latency and errors share the chance of a false alarm; both error alarms see the same requests
HOUR_SECONDS = 3600  # longer than the bakes of a deployment; `--strategy` then changes no alarm
DAY_SECONDS = 24 * HOUR_SECONDS
METRICS_LATE_SECONDS = 180  # AWS's metrics appear one to three minutes later
RATES = (0.2, 1.0, 5.0, 20.0, 100.0)
BREACH = 2.0  # times the promised share


class Odds(Model):
    """Of one alarm, at `requests_per_second` to the new fleet: chances in percent, 0 to 100.

    `fewest_bad`: requests that must be bad in a datapoint of `requests`. `rolls_back_good`: a release that just keeps
    its promise, over a whole deployment. `misses_bad`: one that breaks it twofold, by what is seen before the last
    bake is over.
    """

    alarm: str
    requests_per_second: float
    requests: int
    fewest_bad: int
    rolls_back_good: float
    misses_bad: float


class AlarmOdds(Model):
    """The odds of an environment's alarms; `not_estimated` names the others, whose metrics promise nothing."""

    environment: str
    bake_seconds: int
    datapoints_at_most: int
    datapoints_seen: int
    odds: tuple[Odds, ...]
    not_estimated: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Return a table for people."""
        lines = [
            f"{self.environment}: {self.bake_seconds} s of bakes, at most {self.datapoints_at_most} datapoints; "
            f"{self.datapoints_seen} are seen in time when metrics are {METRICS_LATE_SECONDS} s late",
            "",
            f"{'':14} {'requests/s':>10} {'a datapoint':>12} {'bad of them':>12} "
            f"{'rolls back good':>16} {f'misses {BREACH:g}-fold':>15}",
        ]
        lines += (
            f"{each.alarm:14} {each.requests_per_second:>10g} {each.requests:>12} {each.fewest_bad:>12} "
            f"{each.rolls_back_good:>14.2f} % {each.misses_bad:>13.2f} %"
            for each in self.odds
        )
        if self.not_estimated:
            lines += ["", f"not estimated: {', '.join(self.not_estimated)}"]
        return lines


def latency_ms(env: Environment) -> float:
    """Return the latency that all but one request in 100 keep to, in milliseconds."""
    return env.limits.p99_ms if env.alarms.p99_latency_ms is None else env.alarms.p99_latency_ms


def rules_of(env: Environment, *, is_live: bool) -> tuple[ShareRule, ShareRule]:
    """Return the rules for slow and for failed requests, of a new fleet or of what is live.

    They err with `false_alarm_percent` in an hour, and on what is live in a day: there they are watched for ever.
    """
    percent = env.limits.error_percent if env.alarms.error_percent is None else env.alarms.error_percent
    seconds = DAY_SECONDS if is_live else HOUR_SECONDS
    return _rule(env, SLOW_SHARE, seconds), _rule(env, percent / 100, seconds)


def _rule(env: Environment, promised: float, seconds: int) -> ShareRule:
    alarms = env.alarms
    m, n = alarms.datapoints_to_alarm, alarms.evaluation_periods
    chance = alarms.false_alarm_percent / 100 / PROMISES
    deviations = deviations_of(chance, datapoints_at_most(env, seconds), m, n)
    return ShareRule(promised, alarms.period_seconds, m, n, deviations)


def bakes_seconds(env: Environment) -> int:
    """Return how long the alarms are watched in the longest deployment of this environment."""
    sizes = range(env.autoscaling.smallest_fleet, env.autoscaling.largest_fleet + 1)
    return max(env.deployment.waits_seconds(size) for size in sizes)


def datapoints_at_most(env: Environment, seconds: int) -> int:
    """Count the periods that can overlap so many seconds."""
    return math.ceil(seconds / env.alarms.period_seconds) + 1


def datapoints_seen(env: Environment, seconds: int) -> int:
    """Count the whole periods that can be read before so many seconds have passed."""
    return max((seconds - METRICS_LATE_SECONDS) // env.alarms.period_seconds, 0)


def alarm_odds(env: Environment) -> AlarmOdds:
    """Compute what each alarm of a deployment would do at RATES requests a second to the new fleet."""
    seconds = bakes_seconds(env)
    slow, failed = rules_of(env, is_live=False)
    rules = {"slow-requests": slow, "5xx-errors": failed, "model-errors": failed}
    return AlarmOdds(
        environment=env.name,
        bake_seconds=seconds,
        datapoints_at_most=datapoints_at_most(env, seconds),
        datapoints_seen=datapoints_seen(env, seconds),
        odds=tuple(_odds(env, name, rule, rate) for name, rule in rules.items() for rate in RATES),
        not_estimated=("smoke-veto", *(each.name for each in env.alarms.custom), *env.alarms.named),
    )


def _odds(env: Environment, name: str, rule: ShareRule, rate: float) -> Odds:
    requests, seconds = round(rate * rule.period_seconds), bakes_seconds(env)
    broken = min(BREACH * rule.promised, 1.0)
    false_alarm = rule.firing_chance(requests, rule.promised, datapoints_at_most(env, seconds))
    caught = rule.firing_chance(requests, broken, datapoints_seen(env, seconds))
    return Odds(
        alarm=name,
        requests_per_second=rate,
        requests=requests,
        fewest_bad=rule.fewest_bad(requests),
        rolls_back_good=100 * false_alarm,
        misses_bad=100 * (1 - caught),
    )
