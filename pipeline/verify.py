"""The step `verify`: smoke → capacity → autoscale → steady load and scaling → evidence and a verdict."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.autoscale import autoscale
from pipeline.aws import Aws
from pipeline.capacity import Capacity
from pipeline.config import Environment
from pipeline.errors import GateFailed, VerificationInconclusive
from pipeline.evidence import Evidence, Profile, already_passed, evidence_key, read_evidence
from pipeline.gates import Gate, Verdict, judge, overall
from pipeline.ledger import Ledger, ledger, table, time_scale
from pipeline.load import LoadResult
from pipeline.measure import Bench, measure_capacity
from pipeline.observe import require_live
from pipeline.plan import config_name
from pipeline.records import Say
from pipeline.release import Release
from pipeline.scaling import FleetSample, ScalingPlan, plan_scaling
from pipeline.scaling_gates import ScalingLimits, judge_scaling
from pipeline.smoke import judge_smoke, run_smoke
from pipeline.steady import judge_steady, steady_limits
from pipeline.under_load import ask_what_happened, run_under_load, scaling_run, wait_for_rest
from pipeline.weights import fetch_golden


@dataclass
class Found:
    """What has been measured so far."""

    gates: list[Gate] = field(default_factory=list)
    capacity: Capacity | None = None
    scaling: Ledger | None = None
    files: list[Path] = field(default_factory=list)

    def evidence(
        self, release: Release, env: Environment, config: str, profile: Profile, started: float, build: Path
    ) -> Evidence:
        """Put it together, finished now."""
        return Evidence(
            release=release.id,
            environment=env.name,
            endpoint=env.endpoint.name,
            config=config,
            profile=profile,
            started=started,
            finished=time.time(),
            verdict=overall(self.gates),
            gates=tuple(self.gates),
            capacity=self.capacity,
            scaling=self.scaling,
            load=tuple(str(path.relative_to(build)) for path in self.files),
        )


def verify(
    release: Release,
    env: Environment,
    aws: Aws,
    build: Path,
    profile: Profile,
    say: Say = print,
    *,
    again: bool = False,
) -> Evidence:
    """Measure the release that is live in `env` against the promise to clients, and keep the evidence.

    PASSED evidence for the same release, endpoint config and profile is kept, unless `again`.
    Raises GateFailed or VerificationInconclusive, after the evidence is written; ReleaseError when
    another release is live.
    """
    config = config_name(release, env)
    stored = read_evidence(aws.get_json(evidence_key(release.id, env.name)))
    same = {"release": release.id, "endpoint": env.endpoint.name, "config": config, "profile": profile}
    if stored is not None and already_passed(stored, **same) and not again:
        say(f"already verified: {release.id} passed in {env.name} with this config; --again measures anew")
        _save(stored, env, build)
        return stored
    require_live(release, env, aws, config=config)
    started, found = time.time(), Found()
    _measure(release, env, aws, build, profile, found, say)
    evidence = found.evidence(release, env, config, profile, started, build)
    _save(evidence, env, build)
    aws.put_json(evidence_key(release.id, env.name), evidence.document())
    require_passed(evidence)
    return evidence


def require_passed(evidence: Evidence) -> None:
    """Return for PASSED evidence. Raises GateFailed or VerificationInconclusive, naming each gate."""
    where = f"{evidence.release} in {evidence.environment}"
    if evidence.verdict is Verdict.FAILED:
        raise GateFailed(
            f"{where} broke the promise to clients:\n{_lines(evidence.failed)}",
            fix="It will not be promoted. The evidence and the load results are beside the release; "
            "correct the model or its instances, or change `limits:` if the promise is wrong.",
        )
    if evidence.verdict is Verdict.INCONCLUSIVE:
        raise VerificationInconclusive(
            f"{where} could not be judged:\n{_lines(evidence.inconclusive)}",
            fix="Remove what the reasons name, then verify again; what was not measured is not promoted.",
        )


def _lines(gates: Sequence[Gate]) -> str:
    return "\n".join(f"  {gate.name}: {gate.reason}" for gate in gates)


def _save(evidence: Evidence, env: Environment, build: Path) -> None:
    evidence.save(build / env.name / "evidence.json")
    if evidence.capacity is not None:
        evidence.capacity.save(build / env.name / "capacity.json")


def _measure(
    release: Release, env: Environment, aws: Aws, build: Path, profile: Profile, found: Found, say: Say
) -> None:
    """Fill `found`, in order. After failed smoke tests nothing else is worth measuring."""
    golden = fetch_golden(release, aws, build)
    bench = Bench(build / env.name / "load", golden, getattr(env.load, profile))
    smoke = judge_smoke(run_smoke(release, env, build, golden, say))
    found.gates.append(smoke)
    if smoke.verdict is not Verdict.PASSED:
        found.gates += _unmeasured(env, "the smoke tests did not pass")
        return
    capacity, files = measure_capacity(release, env, aws, bench, say)
    found.capacity = capacity
    found.files += files
    found.gates.append(_capacity_gate(capacity.requests_per_second, capacity.verdict, capacity.reason))
    say(f"capacity: {_rate(capacity.requests_per_second)} on one {capacity.instance_type}; {capacity.reason}")
    plan = _plan(release, env, aws, capacity, bench, say)
    out = bench.folder / "scaling.json"
    result, samples = run_under_load(env, aws, bench, plan, out, say)
    found.files.append(out)
    found.gates += judge_steady(result, env, release.id)
    found.gates += _scaling_gates(env, aws, plan, result, samples, found, say)


def _scaling_gates(
    env: Environment,
    aws: Aws,
    plan: ScalingPlan,
    result: LoadResult,
    samples: tuple[FleetSample, ...],
    found: Found,
    say: Say,
) -> tuple[Gate, ...]:
    """Judge the fleet, and keep the ledger of its phases."""
    surge = result.phase("surge")
    told = None if surge is None else ask_what_happened(env, aws, surge.started)
    run = scaling_run(
        result,
        samples,
        env.autoscaling.min_instances,
        found=told,
        p95_ms=env.limits.p99_ms,
        is_overload=plan.is_overload,
    )
    if run is not None and told is not None:
        found.scaling = ledger(run, result, told, policy=plan.policy, scale=time_scale(os.environ))
        for line in table(found.scaling):
            say(line)
    return judge_scaling(run, _scaling_limits(env), why_not=plan.reason)


def _scaling_limits(env: Environment) -> ScalingLimits:
    return ScalingLimits(env.limits.scale_out_seconds, env.limits.scale_in_seconds)


def _plan(
    release: Release, env: Environment, aws: Aws, capacity: Capacity, bench: Bench, say: Say
) -> ScalingPlan:
    """Put the measured policy in force and derive the rates from it; without one, a gentle steady load."""
    instances = env.autoscaling.min_instances
    gentle = ScalingPlan(bench.profile.first_rps / 2 * instances, None, 1.0, "")
    if capacity.requests_per_second is None:
        return _because(gentle, "the capacity of one instance is not known")
    scaling = autoscale(release, env, aws, capacity.requests_per_second, say)
    if scaling.target is None:
        return _because(gentle, scaling.reason)
    if not wait_for_rest(env, aws, instances):
        return _because(gentle, f"the fleet did not come to rest at {instances} instances before the load")
    plan = plan_scaling(
        capacity_rps=capacity.requests_per_second,
        target_rps=scaling.target / 60,
        instances=instances,
        maximum=env.autoscaling.max_instances,
    )
    say(f"scaling: {plan.reason}")
    return replace(plan, policy=f"{scaling.target:g} invocations per instance and minute")


def _because(plan: ScalingPlan, reason: str) -> ScalingPlan:
    return replace(plan, reason=reason)


def _capacity_gate(measured: float | None, verdict: Verdict, reason: str) -> Gate:
    """A capacity has no limit to keep; the gate is that one could be named."""
    metric, unit = "requests_per_second", "/s"
    return Gate(
        name="capacity",
        metric=metric,
        limit=None,
        measured=measured,
        unit=unit,
        verdict=verdict,
        reason=reason,
    )


def _unmeasured(env: Environment, why: str) -> list[Gate]:
    """The gates that were not reached: INCONCLUSIVE, each."""
    steady = [judge(each, None, why_not_measured=why) for each in steady_limits(env)]
    capacity = _capacity_gate(None, Verdict.INCONCLUSIVE, f"not measured: {why}")
    return [capacity, *steady, *judge_scaling(None, _scaling_limits(env), why_not=why)]


def _rate(requests_per_second: float | None) -> str:
    return "not known" if requests_per_second is None else f"{requests_per_second:.0f}/s"
