"""The confidence that a share is below its limit, by a sample. Pure."""

import math


def confidence_percent(samples: int, hits: int, limit_percent: float) -> float:
    """Return the confidence, 0…100, that the share behind `hits` of `samples` is below `limit_percent`.

    100 minus the probability of so few hits or fewer, were the share exactly the limit (one-sided, exact binomial:
    Clopper and Pearson's bound turned round). It assumes independent requests; neighbours in a queue are not,
    so it is valid for one window, not for another day.
    """
    share = limit_percent / 100
    if samples <= 0 or share <= 0:
        return 0.0
    if share >= 1:
        return 100.0
    so_few = math.fsum(
        math.exp(
            math.lgamma(samples + 1) - math.lgamma(n + 1) - math.lgamma(samples - n + 1)
            + n * math.log(share) + (samples - n) * math.log1p(-share)
        )
        for n in range(min(hits, samples) + 1)
    )  # fmt: skip
    return 100 * (1 - min(so_few, 1.0))
