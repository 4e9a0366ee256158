"""Choose the rates of the next round of the capacity search, from the measured steps. Pure."""

import math
from collections.abc import Sequence

from pipeline.verification.capacity import ENOUGH_SAMPLES, Slo, Step, bracket, find_bottleneck

RESOLUTION = 1.15  # the search ends once the lowest rate that broke is at most this times the one that held
SURE_PERCENT = 95.0  # confidence in the rate that is named, worth one more phase
SURE_SAMPLES = 320  # none of 300 over the limit makes 95 %


def first_rates(*, first_rps: float, growth: float, maximum_rps: float) -> tuple[float, ...]:
    """Return growing whole rates from `first_rps`; the last is `maximum_rps`."""
    rates: list[float] = []
    rate = first_rps
    while rate < maximum_rps:
        if not rates or round(rate) > rates[-1]:
            rates.append(float(round(rate)) if rate >= 1 else rate)
        rate *= growth
    return (*(rate for rate in rates if rate < maximum_rps), maximum_rps)


def next_rates(
    steps: Sequence[Step], slo: Slo, instance_type: str, *, growth: float, maximum_rps: float
) -> tuple[float, ...]:
    """Return the rates of the next round; empty when another one would not improve the result.

    The next rate lies between the highest that held (or zero) and the lowest that broke, until they are near each
    other; then the one that held is tried once more, for long enough to be confident. A rate that broke without
    a busy CPU may have been a hiccup of the machine: it is tried again, and higher ones.
    """
    good, bad = bracket(steps, slo)
    if bad is None:
        highest = good.offered_rps if good else maximum_rps
        further = first_rates(first_rps=highest * growth, growth=growth, maximum_rps=maximum_rps)
        return further if highest < maximum_rps else ()
    bottleneck, _ = find_bottleneck(bad, instance_type, steps)
    if bottleneck == "unknown" and bad.instance_cpu_percent is not None:
        return first_rates(first_rps=bad.offered_rps, growth=growth, maximum_rps=maximum_rps)
    if bottleneck == "generator" and sum(step.offered_rps == bad.offered_rps for step in steps) == 1:
        return (bad.offered_rps,)  # another program used the generator's CPU; once more
    if bottleneck != "instance":
        return ()
    if good is None:
        return (bad.offered_rps / 2,) if bad.offered_rps > 1 else ()
    if bad.offered_rps > RESOLUTION * good.offered_rps:
        return (_between(good.offered_rps, bad.offered_rps),)
    if good.sure_percent < SURE_PERCENT and (good.requests or 0) < SURE_SAMPLES:
        return (good.offered_rps,)
    return ()


def _between(low: float, high: float) -> float:
    """Return the geometric mean, whole if there is a whole number between."""
    middle = math.sqrt(low * high)
    return float(round(middle)) if low < round(middle) < high else middle


def lacks_cpu(steps: Sequence[Step], slo: Slo, instance_type: str) -> bool:
    """Say whether the instance's CPU must be known to tell what limited the rate that broke."""
    _, bad = bracket(steps, slo)
    return bad is not None and find_bottleneck(bad, instance_type, steps)[0] == "unknown"


def samples_for(rate: float, steps: Sequence[Step]) -> int:
    """Return how many requests a phase at this rate needs: a rate that is tried again needs more confidence."""
    return SURE_SAMPLES if any(step.offered_rps == rate for step in steps) else ENOUGH_SAMPLES
