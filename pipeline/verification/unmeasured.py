"""The gates of measurements that were not taken, and the two that other stages share with them."""

from pathlib import Path

from pipeline.config import Environment
from pipeline.gates import Gate, Verdict, judge
from pipeline.release import UNCHECKED
from pipeline.verification.scaling import ScalingPlan
from pipeline.verification.scaling_gates import ScalingLimits, judge_scaling
from pipeline.verification.smoke import SmokeResult, judge_smoke
from pipeline.verification.steady_gates import steady_limits


def scaling_limits(env: Environment, plan: ScalingPlan | None = None) -> ScalingLimits:
    """Return the limits of scaling; recovery is judged where the plan overloads the fleet."""
    recovery = env.limits.recovery_seconds if plan is not None and plan.is_overload else None
    return ScalingLimits(env.limits.scale_out_seconds, env.limits.scale_in_seconds, recovery)


def capacity_gate(measured: float | None, verdict: Verdict, reason: str) -> Gate:
    """Return the gate of the capacity, which has no limit: it passes when a capacity could be named."""
    return Gate(
        name="capacity",
        metric="requests_per_second",
        limit=None,
        measured=measured,
        unit="/s",
        verdict=verdict,
        reason=reason,
    )


def unchecked_gates(env: Environment) -> list[Gate]:
    """Return every gate, INCONCLUSIVE: each of them asks golden requests, and there are none."""
    gates = [judge_smoke(SmokeResult(0, (), 0.0, Path(), UNCHECKED)), *unmeasured_gates(env, UNCHECKED)]
    return [gate.model_copy(update={"reason": UNCHECKED}) for gate in gates]


def unmeasured_gates(env: Environment, why: str) -> list[Gate]:
    """Return the gates that were not reached, all INCONCLUSIVE."""
    steady = [judge(each, None, why_not_measured=why) for each in steady_limits(env)]
    capacity = capacity_gate(None, Verdict.INCONCLUSIVE, f"not measured: {why}")
    return [capacity, *steady, *judge_scaling(None, scaling_limits(env), why_not=why)]
