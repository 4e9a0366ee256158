"""The highest rate at which one instance holds the promise to clients, judged from measured steps. Pure."""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from pipeline.gates import Verdict
from pipeline.model import Model
from pipeline.verification.confidence import confidence_percent

SERVED_SHARE = 0.9  # a step counts as served when at least this share of the offered rate was answered
BUSY_PERCENT = 60.0  # an instance below this share of its CPUs is not what limits the rate
ENOUGH_SAMPLES = 50  # a step with fewer requests says nothing about a 99th percentile
RESOLUTION = 1.15  # the search ends once the lowest rate that broke is at most this times the one that held
SURE_PERCENT = 95.0  # confidence in the rate that is named, worth one more phase
SURE_SAMPLES = 320  # none of 300 over the limit makes 95 %

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
    requests: int | None = None
    over: int | None = None  # of them: failed, or slower than was promised
    concurrency: float | None = None  # requests under way, by the metric of the high-resolution policy

    @property
    def sure_percent(self) -> float:
        """Confidence that less than 1 % of requests at this rate fail or are too slow."""
        return (
            0.0
            if not self.requests or self.over is None
            else confidence_percent(self.requests, self.over, 1.0)
        )


class Targets(Model):
    """What scaling policies may hold one instance at: the capacity × `safety_factor`, in each policy's own unit.

    `concurrent_requests` None: CloudWatch had no figures for the high-resolution metric, or not that far.
    """

    safety_factor: float
    invocations_per_minute: float
    concurrent_requests: float | None


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
    confidence_percent: float | None = (
        None  # that less than 1 % of requests at this rate fail or are too slow
    )
    broke_at_rps: float | None = None  # the lowest rate above it that did not hold
    targets: Targets | None = None  # None: no rate was named
    steps: tuple[Step, ...]
    measured_at: str


class Finding(Model):
    """What the steps say."""

    requests_per_second: float | None
    verdict: Literal[Verdict.PASSED, Verdict.INCONCLUSIVE]
    bottleneck: Bottleneck
    reason: str
    confidence_percent: float | None = None
    broke_at_rps: float | None = None


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
    """Return the highest step that held, and the lowest above it that did not.

    A rate that was tried again counts as it was the last time. A step that broke while the generator was
    late says nothing, so it counts only where no other step has broken.
    """
    valid = [step for step in steps if not step.invalid or holds(step, slo)]
    good, bad = _bracket(valid, slo)
    return (good, bad) if bad is not None else _bracket(steps, slo)


def _bracket(steps: Sequence[Step], slo: Slo) -> tuple[Step | None, Step | None]:
    latest = {step.offered_rps: step for step in steps}.values()
    good = max((step for step in latest if holds(step, slo)), key=lambda step: step.offered_rps, default=None)
    floor = good.offered_rps if good else 0.0
    above = (step for step in latest if not holds(step, slo) and step.offered_rps > floor)
    return good, min(above, key=lambda step: step.offered_rps, default=None)


def next_rates(
    steps: Sequence[Step], slo: Slo, instance_type: str, *, growth: float, maximum_rps: float
) -> tuple[float, ...]:
    """Return the rates of the next round; empty when another one would not say more.

    Between the highest rate that held (or nothing) and the lowest that broke lies the next one, until they are
    near each other; then the one that held is tried once more, for long enough to be sure. A rate that broke
    though the instance's CPU does not explain it may have been a hiccup of the machine: it is tried again, and on.
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
        return (bad.offered_rps,)  # something else had the generator's CPU; once more
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
    """Return how many requests a phase at this rate needs: a rate that is tried again is to be made sure of."""
    return SURE_SAMPLES if any(step.offered_rps == rate for step in steps) else ENOUGH_SAMPLES


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
    if not steps:
        return _inconclusive("unknown", "no step was measured")
    if bad is not None:
        bottleneck, reason = find_bottleneck(bad, instance_type, steps)
        if bottleneck != "instance" or good is None:
            even = "; even this lowest rate broke the promise" if bottleneck == "instance" else ""
            return _inconclusive(bottleneck, reason + even)
    assert good is not None, "without a step that broke, some step held"
    rate = min(good.offered_rps, good.achieved_rps)
    if bad is None:
        bottleneck = "none"
        reason = (
            f"held at every rate up to {rate:g}/s: the capacity is at least this; raise load.*.maximum_rps"
        )
    return Finding(
        requests_per_second=rate,
        verdict=Verdict.PASSED,
        bottleneck=bottleneck,
        reason=f"{reason}{_how_sure(good)}",
        confidence_percent=round(good.sure_percent, 1) if good.requests else None,
        broke_at_rps=bad.offered_rps if bad else None,
    )


def _how_sure(good: Step) -> str:
    if good.requests is None or good.over is None:
        return ""
    return (
        f"; at {good.offered_rps:g}/s {good.over} of {good.requests} requests were over the limit: "
        f"less than 1 % with {math.floor(good.sure_percent * 10) / 10:g} % confidence"
    )


def _inconclusive(bottleneck: Bottleneck, reason: str) -> Finding:
    return Finding(
        requests_per_second=None, verdict=Verdict.INCONCLUSIVE, bottleneck=bottleneck, reason=reason
    )


def find_bottleneck(bad: Step, instance_type: str, steps: Sequence[Step] = ()) -> tuple[Bottleneck, str]:
    """Say what limited the lowest rate that broke the promise.

    What is known of its CPU may come from a higher rate that broke, too: overload is not less at more load.
    """
    if bad.invalid:
        return "generator", f"at {bad.offered_rps:g}/s {bad.invalid}"
    higher = (step for step in steps if step.offered_rps > bad.offered_rps and not step.invalid)
    known = [step for step in (bad, *higher) if step.instance_cpu_percent is not None]
    cpus = vcpus(instance_type)
    if not known or cpus is None:
        return "unknown", (
            f"at {bad.offered_rps:g}/s CPUUtilization of the {instance_type} is not known, so nobody can say what "
            "the limit was: see that CloudWatch has it"
        )
    shares = [((step.instance_cpu_percent or 0.0) / cpus, step.offered_rps) for step in known]
    share, rate = max(shares)
    at = f"at {rate:g}/s"
    if share < BUSY_PERCENT:
        return "unknown", (
            f"{at} the instance used only {share:.0f} % of its CPUs: the limit is elsewhere; "
            "look at the network, the router and what the model waits for"
        )
    return "instance", f"{at} the instance used {share:.0f} % of its CPUs and broke the promise"
