"""Judge one measurement against one limit. Pure; a missing measurement is never a success."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.model import Model

ENOUGH_REQUESTS = 100  # below it a 99th percentile is the slowest request, and 1 % is less than one request


class Verdict(StrEnum):
    """The result of a gate."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"  # never promoted: a missing measurement is no success


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The most that `metric` may be, in `unit`. With fewer than `needs_samples` the gate is INCONCLUSIVE.

    `passed_reason`: the sentence that holds for clients when the gate PASSED.
    """

    name: str
    metric: str
    at_most: float
    unit: str
    passed_reason: str
    needs_samples: int = 1


class Gate(Model):
    """One judged measurement, as evidence keeps it. `limit` None: the figure has no limit."""

    name: str
    metric: str
    limit: float | None
    measured: float | None
    unit: str
    verdict: Verdict
    reason: str


def judge(limit: Limit, measured: float | None, *, samples: int = 1, why_not_measured: str = "") -> Gate:
    """Judge one measurement: at most the limit is PASSED, more is FAILED, no or too few samples INCONCLUSIVE."""
    verdict, reason = _judge(limit, measured, samples, why_not_measured)
    return Gate(
        name=limit.name,
        metric=limit.metric,
        limit=limit.at_most,
        measured=measured,
        unit=limit.unit,
        verdict=verdict,
        reason=reason,
    )


def _judge(limit: Limit, measured: float | None, samples: int, why_not_measured: str) -> tuple[Verdict, str]:
    if measured is None or measured != measured:  # NaN is no measurement
        return Verdict.INCONCLUSIVE, f"not measured: {why_not_measured or 'nothing was recorded'}"
    if samples < limit.needs_samples:
        return Verdict.INCONCLUSIVE, f"only {samples} of at least {limit.needs_samples} samples"
    if measured <= limit.at_most:
        return Verdict.PASSED, limit.passed_reason
    return Verdict.FAILED, f"{_amount(measured, limit.unit)} is over {_amount(limit.at_most, limit.unit)}"


def _amount(value: float, unit: str) -> str:
    return f"{value:,.4g} {unit}".strip()


def overall(gates: Iterable[Gate]) -> Verdict:
    """FAILED if any gate failed; else INCONCLUSIVE if any is, or if there is no gate; else PASSED."""
    verdicts = {gate.verdict for gate in gates}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.INCONCLUSIVE
