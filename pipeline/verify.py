"""The step `verify`: smoke → capacity → autoscale → steady load and scaling → evidence and a verdict."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.autoscale import autoscale
from pipeline.aws import Aws
from pipeline.capacity import Capacity
from pipeline.config import Environment
from pipeline.errors import GateFailed, ReleaseError, VerificationInconclusive
from pipeline.evidence import Evidence, Profile, already_passed, evidence_key, read_evidence
from pipeline.gates import ENOUGH_REQUESTS, Gate, Limit, Verdict, judge, overall
from pipeline.load import LoadResult, PhaseResult
from pipeline.measure import Bench, measure_capacity, run_under_load, scaling_run, wait_for_rest
from pipeline.plan import config_name
from pipeline.records import Say
from pipeline.release import Release
from pipeline.scaling import ScalingLimits, ScalingPlan, judge_scaling, plan_scaling
from pipeline.smoke import judge_smoke, run_smoke
from pipeline.weights import fetch_golden

SENT_SHARE = 0.9  # of the steady load; with less, it was another load


@dataclass
class Found:
    """What has been measured so far."""

    gates: list[Gate] = field(default_factory=list)
    capacity: Capacity | None = None
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
    _require_live(release, env, aws, config)
    started, found = time.time(), Found()
    _measure(release, env, aws, build, profile, found, say)
    evidence = found.evidence(release, env, config, profile, started, build)
    _save(evidence, env, build)
    aws.put_json(evidence_key(release.id, env.name), evidence.document())
    require_passed(evidence)
    return evidence


def _require_live(release: Release, env: Environment, aws: Aws, config: str) -> None:
    live = (aws.describe_endpoint(env.endpoint.name) or {}).get("EndpointConfigName", "nothing")
    if live != config:
        raise ReleaseError(
            f"Release {release.id} is not live on {env.endpoint.name} with these settings: {live} is.",
            fix=f"Run `python -m pipeline deploy --env {env.name}` first.",
        )


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
    limits = ScalingLimits(env.limits.scale_out_seconds, env.limits.scale_in_seconds)
    run = scaling_run(result, samples, env.autoscaling.min_instances)
    found.gates += judge_scaling(run, limits, why_not=plan.reason)


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
        target_per_minute=scaling.target,
        instances=instances,
        maximum=env.autoscaling.max_instances,
    )
    say(f"scaling: {plan.reason}")
    return plan


def _because(plan: ScalingPlan, reason: str) -> ScalingPlan:
    return ScalingPlan(plan.steady_rps, plan.surge_rps, plan.calm_rps, reason)


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


def judge_steady(result: LoadResult, env: Environment, release: str) -> tuple[Gate, ...]:
    """Judge latency, errors and identity under the steady load."""
    latency, errors, others = _steady_limits(env)
    steady = result.phase("steady")
    if steady is None:
        return tuple(
            judge(each, None, why_not_measured="no steady load") for each in (latency, errors, others)
        )
    heard = sum(sum(instances.values()) for instances in result.identities.values())
    wrong = heard - sum(result.identities.get(release, {}).values())
    why_not = _why_not_judged(steady, latency)
    return (
        judge(
            latency,
            None if why_not else steady.p99_ms,
            samples=steady.requests,
            why_not_measured=why_not or "no request was answered",
        ),
        judge(errors, steady.error_percent, samples=steady.requests, why_not_measured="no request was sent"),
        judge(others, float(wrong) if heard else None, why_not_measured="no answer named its release"),
    )


def _why_not_judged(steady: PhaseResult, latency: Limit) -> str | None:
    """Say why nobody can tell the endpoint's latency from this load.

    Latencies count from when requests were due, so a late generator makes them longer: what kept to the limit
    in spite of it did so all the more, and what did not may have been the generator's fault.
    """
    sent = steady.requests / max(steady.offered_rps * steady.seconds, 1)
    if sent < SENT_SHARE:
        return f"only {100 * sent:.0f} % of the load was sent; {steady.invalid or 'it was cut short'}"
    if steady.p99_ms is not None and steady.p99_ms <= latency.at_most:
        return None
    return steady.invalid


def _steady_limits(env: Environment) -> tuple[Limit, Limit, Limit]:
    return (
        Limit(
            name="latency",
            metric="p99_ms",
            at_most=env.limits.p99_ms,
            unit="ms",
            promise="99 of 100 answers under the steady load came within the limit",
            needs_samples=ENOUGH_REQUESTS,
        ),
        Limit(
            name="errors",
            metric="error_percent",
            at_most=env.limits.error_percent,
            unit="%",
            promise="the steady load was answered, with the golden predictions where compared",
            needs_samples=ENOUGH_REQUESTS,
        ),
        Limit(
            name="release",
            metric="answers_of_other_releases",
            at_most=0,
            unit="answers",
            promise="no other release answered",
        ),
    )


def _unmeasured(env: Environment, why: str) -> list[Gate]:
    """The gates that were not reached: INCONCLUSIVE, each."""
    steady = [judge(each, None, why_not_measured=why) for each in _steady_limits(env)]
    limits = ScalingLimits(env.limits.scale_out_seconds, env.limits.scale_in_seconds)
    capacity = _capacity_gate(None, Verdict.INCONCLUSIVE, f"not measured: {why}")
    return [capacity, *steady, *judge_scaling(None, limits, why_not=why)]


def _rate(requests_per_second: float | None) -> str:
    return "not known" if requests_per_second is None else f"{requests_per_second:.0f}/s"
