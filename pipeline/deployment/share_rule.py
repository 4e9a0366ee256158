"""When an alarm on a share of requests fires, and how often it errs. Pure.

A release promises that at most a share p of its requests is bad. Of n requests in one datapoint, the number of bad
ones is then binomial. The datapoint breaches when there are more than

    allowed(n) = p n + z sqrt(p n) + (z^2 + 2) / 6

z is the normal quantile of the chance a that one datapoint breaches for a release that just keeps its promise; the
last term corrects for the skew of few bad requests (Cornish and Fisher's expansion), so that the exact tail stays below
a for every n: tests compare them. The alarm fires when M of N datapoints breach. Over L datapoints that happens with at
most the chance L C(N - 1, M - 1) a^M, since one of its windows begins with a breach: `deviations_of` solves it for a.

Requests are taken as independent. Bursts are not; M of N is there for them.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

LEAST_BAD = 2  # bad requests in one datapoint, however few requests there are


@dataclass(frozen=True)
class ShareRule:
    """M (`datapoints_to_alarm`) of N (`evaluation_periods`) datapoints with more bad requests than `promised` allows.

    `promised`: the share of bad requests, 0 to 1. `deviations`: z of the module's formula.
    """

    promised: float
    period_seconds: int
    datapoints_to_alarm: int
    evaluation_periods: int
    deviations: float

    @property
    def skew(self) -> float:
        """Return the correction for few bad requests, in requests."""
        return round((self.deviations**2 + 2) / 6, 3)

    def allowed(self, requests: float) -> float:
        """Return the bad ones of `requests` that chance explains."""
        expected = self.promised * requests
        return expected + self.deviations * math.sqrt(expected) + self.skew

    def fewest_bad(self, requests: int) -> int:
        """Return the fewest bad requests of one datapoint that breach."""
        return max(LEAST_BAD, math.floor(self.allowed(requests)) + 1)

    def breach_chance(self, requests: int, share: float) -> float:
        """Return the chance that a datapoint of `requests` breaches when a `share` of them is bad."""
        return at_least(self.fewest_bad(requests), requests, share)

    def firing_chance(self, requests: int, share: float, datapoints: int) -> float:
        """Return the chance that the alarm fires within `datapoints`, each of `requests`."""
        breach = self.breach_chance(requests, share)
        return m_of_n_chance(breach, datapoints, self.datapoints_to_alarm, self.evaluation_periods)


def deviations_of(false_alarm: float, datapoints: int, m: int, n: int) -> float:
    """Return z for a chance `false_alarm`, 0 to 1, of M breaches within N of so many datapoints; rounded up."""
    windows = datapoints * math.comb(n - 1, m - 1)
    breach = min((false_alarm / windows) ** (1 / m), 0.5)
    return math.ceil(1000 * NormalDist().inv_cdf(1 - breach)) / 1000


def at_least(count: int, trials: int, share: float) -> float:
    """Return the chance of `count` or more hits among independent trials with a chance `share` each: exact."""
    if count <= 0 or (share >= 1 and count <= trials):
        return 1.0
    if count > trials or share <= 0:
        return 0.0
    below = count <= trials * share  # sum the shorter tail: the small one keeps its digits
    hits = range(count) if below else range(count, trials + 1)
    chance = math.fsum(_exactly(each, trials, share) for each in hits)
    return min(max(1 - chance if below else chance, 0.0), 1.0)


def _exactly(hits: int, trials: int, share: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(ways + hits * math.log(share) + (trials - hits) * math.log1p(-share))


def m_of_n_chance(breach: float, datapoints: int, m: int, n: int) -> float:
    """Return the chance that among `datapoints` some N in a row have M breaches: exact.

    `breach`: of one datapoint, independently of the others. The state is how many datapoints ago each recent breach was.
    """
    chances: dict[tuple[int, ...], float] = {(): 1.0}
    fired = 0.0
    for _ in range(datapoints):
        after: dict[tuple[int, ...], float] = {}
        for ages, chance in chances.items():
            recent = tuple(age + 1 for age in ages if age + 1 < n)
            after[recent] = after.get(recent, 0.0) + chance * (1 - breach)
            if len(recent) + 1 >= m:
                fired += chance * breach
            else:
                after[(*recent, 0)] = after.get((*recent, 0), 0.0) + chance * breach
        chances = after
    return fired
