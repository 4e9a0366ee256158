"""The highest rate at which one instance keeps the SLO, judged from measured steps. Pure."""

import math
from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import Field

from pipeline.gates import Verdict
from pipeline.model import Model
from pipeline.verification.confidence import confidence_percent

SERVED_SHARE = 0.9  # of the offered rate that must be answered for a step to count as served
BUSY_PERCENT = 60.0  # an instance below this share of its CPUs does not limit the rate
ENOUGH_SAMPLES = 50  # a step with fewer requests has no meaningful 99th percentile
SURE_PERCENT = 95.0  # confidence in the rate that is named: no policy is built on less

Bottleneck = Literal["instance", "generator", "none", "unknown"]


class Slo(Model):
    """The objectives that a rate must keep to count as served."""

    p99_ms: float
    error_percent: float


class Step(Model):
    """One rate, held for some seconds. CPU of the instance: 0…100 × its vCPUs, CloudWatch's unit."""

    offered_rps: float
    achieved_rps: float
    p50_ms: float | None
    p99_ms: float | None  # None: no request was answered well
    error_percent: float
    seconds: float
    instance_cpu_percent: float | None
    generator_cpu_percent: float
    invalid: str | None = None  # why the generator could not offer the load
    requests: int | None = None
    over: int | None = None  # of them: failed, or slower than the SLO
    concurrency: float | None = None  # requests under way, by the metric of the high-resolution policy

    @property
    def sure_percent(self) -> float:
        """Return the confidence that less than 1 % of requests at this rate fail or are too slow."""
        return (
            0.0
            if not self.requests or self.over is None
            else confidence_percent(self.requests, self.over, 1.0)
        )


class Targets(Model):
    """The targets of scaling policies for one instance: the capacity × `safety_factor`, in each policy's own unit.

    `concurrent_requests` None: CloudWatch had no figures for the high-resolution metric, or not up to that rate.
    """

    safety_factor: float
    invocations_per_minute: float
    concurrent_requests: float | None


class Capacity(Model):
    """The content of capacity.json. `requests_per_second` None: no rate kept the SLO, or the limit is unclear."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    release: str
    instance_type: str
    instances: Literal[1] = 1
    slo: Slo
    requests_per_second: float | None
    verdict: Literal[Verdict.PASSED, Verdict.INCONCLUSIVE]
    bottleneck: Bottleneck
    reason: str
    confidence_percent: float | None = None  # that less than 1 % of requests at it fail or are too slow
    broke_at_rps: float | None = None  # the lowest rate above it that did not hold
    targets: Targets | None = None  # None: no rate was named
    steps: tuple[Step, ...]
    measured_at: str


class CapacityFinding(Model):
    """The capacity that follows from the steps."""

    requests_per_second: float | None
    verdict: Literal[Verdict.PASSED, Verdict.INCONCLUSIVE]
    bottleneck: Bottleneck
    reason: str
    confidence_percent: float | None = None
    broke_at_rps: float | None = None


def holds(step: Step, slo: Slo) -> bool:
    """Say whether this rate was served within the SLO, by enough requests to tell.

    Lateness of the generator is in the latencies: a rate that kept the SLO in spite of it counts.
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

    Of a rate that was tried again the last step counts. A step that broke while the generator was late is not
    meaningful, so it counts only where no other step has broken.
    """
    good, bad = _bracket(_meaningful(steps, slo), slo)
    return (good, bad) if bad is not None else _bracket(steps, slo)


def latest_of(steps: Sequence[Step]) -> Collection[Step]:
    """Return the last step at each rate: of a rate that was tried again, only that one counts."""
    return {step.offered_rps: step for step in steps}.values()


def _meaningful(steps: Sequence[Step], slo: Slo) -> list[Step]:
    return [step for step in steps if not step.invalid or holds(step, slo)]


def _bracket(steps: Sequence[Step], slo: Slo) -> tuple[Step | None, Step | None]:
    latest = latest_of(steps)
    good = max((step for step in latest if holds(step, slo)), key=lambda step: step.offered_rps, default=None)
    floor = good.offered_rps if good else 0.0
    above = (step for step in latest if not holds(step, slo) and step.offered_rps > floor)
    return good, min(above, key=lambda step: step.offered_rps, default=None)


def vcpus(instance_type: str) -> int | None:
    """Return the vCPUs of an instance type by its size; None for a size without a rule."""
    size = instance_type.rsplit(".", 1)[-1]
    if size in {"medium", "large"}:
        return 2
    if size == "xlarge":
        return 4
    multiple = size.removesuffix("xlarge")
    return 4 * int(multiple) if size.endswith("xlarge") and multiple.isdigit() else None


def judge_capacity(steps: Sequence[Step], slo: Slo, instance_type: str) -> CapacityFinding:
    """Return the capacity, or the reason why it is unclear.

    It is the highest rate that held with SURE_PERCENT confidence, so it is a lower bound. What gave way above it must have
    been the instance, or the generator: then the capacity is at least this.
    """
    good, bad = bracket(steps, slo)
    if not steps:
        return _inconclusive("unknown", "no step was measured")
    bottleneck: Bottleneck = "none"
    reason = "held at every rate that was tried: the capacity is at least this; raise load.*.maximum_rps"
    if bad is not None:
        bottleneck, reason = find_bottleneck(bad, instance_type, steps)
        if bottleneck == "unknown" or good is None:
            even = "; even this lowest rate broke the SLO" if bottleneck == "instance" else ""
            return _inconclusive(bottleneck, reason + even)
    if bottleneck == "generator":
        reason += "; the capacity is at least what held"
    assert good is not None, "without a step that broke, some step held"
    sure = surest(steps, slo)
    if sure is None:
        return _inconclusive(
            bottleneck,
            f"{reason}{_how_sure(good)}, and {SURE_PERCENT:g} % are needed: raise load.*.step_seconds",
        )
    return CapacityFinding(
        requests_per_second=min(sure.offered_rps, sure.achieved_rps),
        verdict=Verdict.PASSED,
        bottleneck=bottleneck,
        reason=f"{reason}{_how_sure(sure)}",
        confidence_percent=round(sure.sure_percent, 1),
        broke_at_rps=bad.offered_rps if bad else None,
    )


def surest(steps: Sequence[Step], slo: Slo) -> Step | None:
    """Return the highest step below any that broke that held with SURE_PERCENT confidence."""
    good, _ = bracket(steps, slo)
    latest = latest_of(_meaningful(steps, slo))
    sure = (step for step in latest if holds(step, slo) and step.sure_percent >= SURE_PERCENT)
    below = (step for step in sure if good is not None and step.offered_rps <= good.offered_rps)
    return max(below, key=lambda step: step.offered_rps, default=None)


def _how_sure(good: Step) -> str:
    return (
        f"; at {good.offered_rps:g}/s {good.over} of {good.requests} requests were over the limit: "
        f"less than 1 % with {math.floor(good.sure_percent * 10) / 10:g} % confidence"
    )


def _inconclusive(bottleneck: Bottleneck, reason: str) -> CapacityFinding:
    return CapacityFinding(
        requests_per_second=None, verdict=Verdict.INCONCLUSIVE, bottleneck=bottleneck, reason=reason
    )


def find_bottleneck(bad: Step, instance_type: str, steps: Sequence[Step] = ()) -> tuple[Bottleneck, str]:
    """Return the bottleneck of the lowest rate that broke the SLO, with a sentence about it.

    Its CPU may also be that of a higher rate that broke: overload does not decrease with more load.
    """
    if bad.invalid:
        return "generator", f"at {bad.offered_rps:g}/s {bad.invalid}"
    higher = (step for step in steps if step.offered_rps > bad.offered_rps and not step.invalid)
    known = [step for step in (bad, *higher) if step.instance_cpu_percent is not None]
    cpus = vcpus(instance_type)
    if not known or cpus is None:
        return "unknown", (
            f"at {bad.offered_rps:g}/s CPUUtilization of the {instance_type} is not known, so the limit is "
            "unclear: check that CloudWatch has the metric"
        )
    shares = [((step.instance_cpu_percent or 0.0) / cpus, step.offered_rps) for step in known]
    share, rate = max(shares)
    at = f"at {rate:g}/s"
    if share < BUSY_PERCENT:
        return "unknown", (
            f"{at} the instance used only {share:.0f} % of its CPUs: the limit is elsewhere; "
            "look at the network, the router and the model's own waits"
        )
    return "instance", f"{at} the instance used {share:.0f} % of its CPUs and broke the SLO"
