"""Choose the rates of the next round of the capacity search, from the measured steps. Pure."""

import math
from collections.abc import Sequence

from pipeline.verification.capacity import (
    ENOUGH_SAMPLES,
    Slo,
    Step,
    bracket,
    find_bottleneck,
    latest_of,
    surest,
)

RESOLUTION = 1.15  # the search ends once the lowest rate that broke is at most this times the one that held
SURE_SAMPLES = 400  # one over the limit of 473 makes 95 %, and a phase sends a fifth more than it needs


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
    other; then the one that held is tried once more, for long enough to be confident, and lower ones until one is. A rate
    that broke without a busy CPU may have been a hiccup of the machine: it is tried again, and higher ones.
    """
    good, bad = bracket(steps, slo)
    if bad is None:
        highest = good.offered_rps if good else maximum_rps
        further = first_rates(first_rps=highest * growth, growth=growth, maximum_rps=maximum_rps)
        return further if highest < maximum_rps else _until_sure(steps, good, slo)
    bottleneck, _ = find_bottleneck(bad, instance_type, steps)
    if bottleneck == "unknown" and bad.instance_cpu_percent is not None:
        return first_rates(first_rps=bad.offered_rps, growth=growth, maximum_rps=maximum_rps)
    if bottleneck == "generator" and sum(step.offered_rps == bad.offered_rps for step in steps) == 1:
        return (bad.offered_rps,)  # another program used the generator's CPU; once more
    if bottleneck == "unknown":
        return ()
    if good is None:
        return (bad.offered_rps / 2,) if bad.offered_rps > 1 and bottleneck == "instance" else ()
    if bad.offered_rps > RESOLUTION * good.offered_rps and bottleneck == "instance":
        return (_between(good.offered_rps, bad.offered_rps),)
    return _until_sure(steps, good, slo)


def _until_sure(steps: Sequence[Step], good: Step | None, slo: Slo) -> tuple[float, ...]:
    """Return the rate that may be the highest that holds for sure; none when one is known."""
    if good is None or surest(steps, slo) is not None:
        return ()
    long = (step.offered_rps for step in latest_of(steps) if (step.requests or 0) >= SURE_SAMPLES)
    tried = [rate for rate in long if rate <= good.offered_rps]
    return (min(tried) / RESOLUTION if tried else good.offered_rps,)


def _between(low: float, high: float) -> float:
    """Return the geometric mean, whole if there is a whole number between."""
    middle = math.sqrt(low * high)
    return float(round(middle)) if low < round(middle) < high else middle


def lacks_cpu(steps: Sequence[Step], slo: Slo, instance_type: str) -> bool:
    """Say whether the instance's CPU must be known to tell what limited the rate that broke."""
    _, bad = bracket(steps, slo)
    return bad is not None and find_bottleneck(bad, instance_type, steps)[0] == "unknown"


def samples_for(rate: float, steps: Sequence[Step], slo: Slo) -> int:
    """Return how many requests a phase at this rate needs: one that is not above what held is to be known for sure."""
    good, _ = bracket(steps, slo)
    return SURE_SAMPLES if good is not None and rate <= good.offered_rps else ENOUGH_SAMPLES
