"""The highest rate at which one instance holds the promise to clients, judged from measured steps. Pure."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from pipeline.gates import Verdict
from pipeline.model import Model

SERVED_SHARE = 0.9  # a step counts as served when at least this share of the offered rate was answered
BUSY_PERCENT = 60.0  # an instance below this share of its CPUs is not what limits the rate
ENOUGH_SAMPLES = 50  # a step with fewer requests says nothing about a 99th percentile
REFINEMENTS = 2  # rates tried between the highest good and the lowest bad one

Bottleneck = Literal["instance", "generator", "none", "unknown"]


class Slo(Model):
    """What a rate must hold to count as served."""

    p99_ms: float
    error_percent: float


class Step(Model):
    """One rate, held for some seconds. CPU of the instance: 0…100 × its vCPUs, as CloudWatch counts."""

    offered_rps: float
    achieved_rps: float
    p50_ms: float | None
    p99_ms: float | None  # None: no request was answered well
    error_percent: float
    seconds: float
    instance_cpu_percent: float | None
    generator_cpu_percent: float
    invalid: str | None = None  # what the generator lacked


class Capacity(Model):
    """The content of capacity.json. `requests_per_second` None: no rate held the promise, or none can be named."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    release: str
    instance_type: str
    instances: Literal[1] = 1
    slo: Slo
    requests_per_second: float | None
    verdict: Literal[Verdict.PASSED, Verdict.INCONCLUSIVE]
    bottleneck: Bottleneck
    reason: str
    steps: tuple[Step, ...]
    measured_at: str


class Finding(Model):
    """What the steps say."""

    requests_per_second: float | None
    verdict: Literal[Verdict.PASSED, Verdict.INCONCLUSIVE]
    bottleneck: Bottleneck
    reason: str


def first_rates(*, first_rps: float, growth: float, maximum_rps: float) -> tuple[float, ...]:
    """Return growing whole rates from `first_rps`; the last is `maximum_rps`."""
    rates: list[float] = []
    rate = first_rps
    while rate < maximum_rps:
        if not rates or round(rate) > rates[-1]:
            rates.append(float(round(rate)) if rate >= 1 else rate)
        rate *= growth
    return (*(rate for rate in rates if rate < maximum_rps), maximum_rps)


def holds(step: Step, slo: Slo) -> bool:
    """Say whether this rate was served within the promise, by enough requests to tell.

    A rate that held although the generator was late held all the more: its lateness is in the latencies.
    """
    return (
        step.achieved_rps >= SERVED_SHARE * step.offered_rps
        and step.achieved_rps * step.seconds >= ENOUGH_SAMPLES
        and step.p99_ms is not None
        and step.p99_ms <= slo.p99_ms
        and step.error_percent <= slo.error_percent
    )


def bracket(steps: Sequence[Step], slo: Slo) -> tuple[Step | None, Step | None]:
    """Return the highest step that held, and the lowest above it that did not."""
    good = max((step for step in steps if holds(step, slo)), key=lambda step: step.offered_rps, default=None)
    floor = good.offered_rps if good else 0.0
    above = (step for step in steps if not holds(step, slo) and step.offered_rps > floor)
    return good, min(above, key=lambda step: step.offered_rps, default=None)


def next_rates(
    steps: Sequence[Step], slo: Slo, instance_type: str, *, growth: float, maximum_rps: float
) -> tuple[float, ...]:
    """Return the rates of the next round; empty when another one would not say more.

    Between the highest good rate (or nothing) and the lowest bad one there is one refinement. A bad rate that the
    instance's CPU does not explain may have been a hiccup of the machine: it is tried again, and on.
    """
    good, bad = bracket(steps, slo)
    if bad is None:
        return ()
    bottleneck, _ = find_bottleneck(bad, instance_type)
    if bottleneck == "unknown" and bad.instance_cpu_percent is not None:
        return first_rates(first_rps=bad.offered_rps, growth=growth, maximum_rps=maximum_rps)
    if bottleneck != "instance":
        return ()
    floor = good.offered_rps if good else 0.0
    width = (bad.offered_rps - floor) / (REFINEMENTS + 1)
    if width < (growth - 1) / (REFINEMENTS + 1) * floor / 2:
        return ()  # refined before
    rates = dict.fromkeys(float(round(floor + width * n)) for n in range(1, REFINEMENTS + 1))
    return tuple(rate for rate in rates if floor < rate < bad.offered_rps)


def vcpus(instance_type: str) -> int | None:
    """Return the vCPUs that an instance type's size says; None for a size without a rule."""
    size = instance_type.rsplit(".", 1)[-1]
    if size in {"medium", "large"}:
        return 2
    if size == "xlarge":
        return 4
    multiple = size.removesuffix("xlarge")
    return 4 * int(multiple) if size.endswith("xlarge") and multiple.isdigit() else None


def judge_capacity(steps: Sequence[Step], slo: Slo, instance_type: str) -> Finding:
    """Name the capacity, or say why none can be named: the limit must have been the instance."""
    good, bad = bracket(steps, slo)
    rate = None if good is None else min(good.offered_rps, good.achieved_rps)
    if not steps:
        return _inconclusive(None, "unknown", "no step was measured")
    if bad is None:
        return Finding(
            requests_per_second=rate,
            verdict=Verdict.PASSED,
            bottleneck="none",
            reason=f"held at every rate up to {rate:g}/s: the capacity is at least this; raise load.*.maximum_rps",
        )
    bottleneck, reason = find_bottleneck(bad, instance_type)
    if bottleneck != "instance":
        return _inconclusive(None, bottleneck, reason)
    if rate is None:
        return _inconclusive(None, bottleneck, f"{reason}; even this lowest rate broke the promise")
    return Finding(requests_per_second=rate, verdict=Verdict.PASSED, bottleneck=bottleneck, reason=reason)


def _inconclusive(rate: float | None, bottleneck: Bottleneck, reason: str) -> Finding:
    return Finding(
        requests_per_second=rate, verdict=Verdict.INCONCLUSIVE, bottleneck=bottleneck, reason=reason
    )


def find_bottleneck(bad: Step, instance_type: str) -> tuple[Bottleneck, str]:
    """Say what limited the lowest rate that broke the promise."""
    at = f"at {bad.offered_rps:g}/s"
    if bad.invalid:
        return "generator", f"{at} {bad.invalid}"
    cpus = vcpus(instance_type)
    if bad.instance_cpu_percent is None or cpus is None:
        return "unknown", (
            f"{at} CPUUtilization of the {instance_type} is not known, so nobody can say what the limit was: "
            "see that CloudWatch has it"
        )
    share = bad.instance_cpu_percent / cpus
    if share < BUSY_PERCENT:
        return "unknown", (
            f"{at} the instance used only {share:.0f} % of its CPUs: the limit is elsewhere; "
            "look at the network, the router and what the model waits for"
        )
    return "instance", f"{at} the instance used {share:.0f} % of its CPUs and broke the promise"
