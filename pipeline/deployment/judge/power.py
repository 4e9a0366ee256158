"""Find the smallest slowdown, and the smallest failure rate, that a bake detects with 90 % power. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pipeline.deployment.judge.latency import SLOWEST, survival
from pipeline.deployment.judge.sequential_test import hypergeometric

POWER = 0.9
LAST_LOOK = 0.5  # of the error rate: what the last look alone may use, less than the spending function leaves
KEPT = 0.9  # of the answers: the most that joined stalls leave out
MOST_PERCENT = 1000.0  # slowdowns beyond it are not looked for
PRECISION_PERCENT = 1.0
NORMAL = NormalDist()


@dataclass(frozen=True)
class Samples:
    """Requests of a whole bake to the candidate and to the baseline, after the warm-up."""

    candidate: int
    baseline: int


def smallest_slowdown_percent(
    latencies: Sequence[float], samples: Samples, margin_percent: float, alpha: float
) -> float | None:
    """Return the smallest slowdown of all answers that is found with POWER; None: none up to MOST_PERCENT is.

    `latencies`: of the baseline. `alpha`: of one test. The test's bound is exact; its power is approximated by the
    normal distribution with the variance of Fisher's noncentral hypergeometric distribution.
    """
    if alpha <= 0 or not latencies or min(samples.candidate, samples.baseline) < 1:
        return None
    ordered = _thinned(sorted(latencies))
    samples = Samples(math.ceil(KEPT * samples.candidate), math.ceil(KEPT * samples.baseline))
    too_small, enough = margin_percent, MOST_PERCENT
    if _power(ordered, samples, _ratio(enough, margin_percent), alpha) < POWER:
        return None
    while enough - too_small > PRECISION_PERCENT:
        middle = (too_small + enough) / 2
        if _power(ordered, samples, _ratio(middle, margin_percent), alpha) >= POWER:
            enough = middle
        else:
            too_small = middle
    return round(enough, 1)


def _ratio(slower_percent: float, margin_percent: float) -> float:
    return (1 + slower_percent / 100) / (1 + margin_percent / 100)


def _thinned(ordered: list[float], most: int = 1000) -> list[float]:
    """Keep evenly spaced quantiles of a long sample."""
    if len(ordered) <= most:
        return ordered
    return [ordered[(2 * n + 1) * len(ordered) // (2 * most)] for n in range(most)]


def _power(ordered: Sequence[float], samples: Samples, ratio: float, alpha: float) -> float:
    """Return the power of the strongest of the tests against a candidate that is slower by this ratio."""
    return max(_power_of(share, ordered, samples, ratio, alpha) for share in SLOWEST.values())


def _power_of(share: float, ordered: Sequence[float], samples: Samples, ratio: float, alpha: float) -> float:
    everything = samples.candidate + samples.baseline
    slower = [each * ratio for each in ordered]
    threshold = _pooled_quantile(ordered, slower, samples, share)
    ours = samples.candidate * survival(slower, threshold)
    theirs = samples.baseline * survival(ordered, threshold)
    marked = round(ours + theirs)
    bound, _ = hypergeometric(samples.candidate, everything, marked).cut(LAST_LOOK * alpha)
    if bound > min(marked, samples.candidate):
        return 0.0
    parts = (ours, samples.candidate - ours, theirs, samples.baseline - theirs)
    spread = math.sqrt(1 / sum(1 / max(part, 0.5) for part in parts))
    return NORMAL.cdf((ours - bound + 0.5) / spread)


def _pooled_quantile(
    ordered: Sequence[float], slower: Sequence[float], samples: Samples, share: float
) -> float:
    """Return the latency that this share of all requests exceeds, by bisection over both samples' values."""
    values = sorted([*ordered, *slower])
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        above = samples.candidate * survival(slower, values[middle])
        above += samples.baseline * survival(ordered, values[middle])
        if above <= share * (samples.candidate + samples.baseline):
            high = middle
        else:
            low = middle + 1
    return values[low]


def smallest_failure_percent(samples: Samples, alpha: float) -> float | None:
    """Return the smallest failure rate that is found with POWER against a baseline without failures.

    None: even a candidate that always fails is not found.
    """
    everything, failures = samples.candidate + samples.baseline, 0
    while alpha > 0 and failures < samples.candidate:
        failures += 1
        bound, _ = hypergeometric(samples.candidate, everything, failures).cut(LAST_LOOK * alpha)
        if bound <= failures:
            expected = failures + NORMAL.inv_cdf(POWER) * math.sqrt(failures) + 1
            return round(100 * min(expected / samples.candidate, 1.0), 2)
    return None
