"""The stages of `verify`: smoke → capacity and regression → policy → scaling → shape."""

import logging
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pipeline.account.cost import Prices, ServingCost, cost_of_serving
from pipeline.autoscaling.autoscale import autoscale
from pipeline.aws.clock import time_scale
from pipeline.config import Environment
from pipeline.deployment.observe import require_live
from pipeline.errors import ReleaseError
from pipeline.gates import Gate, Verdict, overall
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden, why_not_compared
from pipeline.run import Run
from pipeline.verification.agreement import agreement_gates
from pipeline.verification.capacity import Capacity, bracket
from pipeline.verification.capacity_endpoint import capacity_endpoint
from pipeline.verification.comparison import baseline_endpoint, compare_endpoints, find_baseline
from pipeline.verification.evidence import Evidence, Profile
from pipeline.verification.load import LoadResult
from pipeline.verification.load_shapes import LoadTestOptions, judge_shape, run_shape
from pipeline.verification.measure import Bench, measure_capacity
from pipeline.verification.quality import quality_gates
from pipeline.verification.regression import Regression, no_regression_gate, regression_gate
from pipeline.verification.scaling import FleetSample, ScalingPlan, gentle_plan, plan_scaling
from pipeline.verification.scaling_gates import judge_scaling
from pipeline.verification.scaling_timeline import ScalingTimeline, make_timeline, table_of
from pipeline.verification.sizing import held_rate, measured_of
from pipeline.verification.smoke import judge_smoke, run_smoke
from pipeline.verification.steady_gates import judge_steady
from pipeline.verification.under_load import (
    existing_traffic,
    read_scaling_events,
    run_under_load,
    scaling_run,
    wait_for_rest,
)
from pipeline.verification.unmeasured import (
    capacity_gate,
    scaling_limits,
    unchecked_gates,
    unmeasured_gates,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One verification. `following`: the environment that promotes from this one; `shape`: one more load."""

    release: Release
    run: Run
    profile: Profile
    config: str
    following: Environment | None = None
    shape: str | None = None
    prices: Prices | None = None

    @property
    def folder(self) -> Path:
        return self.run.build / self.run.env.name / "load"


@dataclass
class Measurements:
    """The measurements so far, each with its gates."""

    gates: list[Gate] = field(default_factory=list)
    capacity: Capacity | None = None
    scaling: ScalingTimeline | None = None
    regression: Regression | None = None
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def evidence(self, job: Job, started: float) -> Evidence:
        """Return the measurements as evidence, finished now."""
        return Evidence(
            release=job.release.id,
            environment=job.run.env.name,
            endpoint=job.run.env.endpoint.name,
            config=job.config,
            profile=job.profile,
            shape=job.shape,
            started=started,
            finished=job.run.clock.now(),
            verdict=overall(self.gates),
            gates=tuple(self.gates),
            capacity=self.capacity,
            scaling=self.scaling,
            regression=self.regression,
            cost=self._cost(job),
            load=tuple(str(path.relative_to(job.run.build)) for path in self.files),
            notes=tuple(self.notes),
        )

    def _cost(self, job: Job) -> ServingCost | None:
        rate = self.capacity.requests_per_second if self.capacity else None
        if rate is None or job.prices is None:
            return None
        on_aws = time_scale(os.environ) == 1
        return cost_of_serving(
            rate, job.run.env.endpoint.instance_type, job.prices, is_measured_on_aws=on_aws
        )


def measure(job: Job) -> Measurements:
    """Take all stages; only the first one when the smoke tests fail, and none of an UNCHECKED release."""
    found = Measurements(notes=[*job.release.notes])
    found.gates += quality_gates(job.release, job.run, job.following)
    if job.release.unchecked:
        found.gates += unchecked_gates(job.run.env)
        return found
    golden = fetch_golden(job.release, job.run)
    bench = Bench(job.folder, golden, getattr(job.run.env.load, job.profile))
    smoke = judge_smoke(run_smoke(job.release, job.run, golden))
    found.gates.append(smoke)
    if smoke.verdict is not Verdict.PASSED:
        found.gates += unmeasured_gates(job.run.env, "the smoke tests did not pass")
        return found
    smoked_at = job.run.clock.now()
    _measure_one_instance(job, bench, found)
    plan = _plan(job, bench, found, smoked_at)
    _measure_fleet(job, bench, plan, found)
    if job.shape is not None:
        out = bench.folder / "shape.json"
        result = run_shape(job.run.env, LoadTestOptions(job.shape), golden, out)
        found.files.append(out)
        found.gates += judge_shape(result, job.run.env, job.shape)
    return found


def _measure_one_instance(job: Job, bench: Bench, found: Measurements) -> None:
    """Measure the capacity, and compare with the release before at the rate that follows from it."""
    with capacity_endpoint(job.release, job.run) as endpoint:
        capacity, files = measure_capacity(job.release, endpoint, job.run, bench)
        found.capacity = capacity
        found.files += files
        found.gates.append(capacity_gate(capacity.requests_per_second, capacity.verdict, capacity.reason))
        rate = capacity.requests_per_second
        named = "not known" if rate is None else f"{rate:.0f}/s"
        log.info(f"capacity: {named} on one {capacity.instance_type}; {capacity.reason}")
        if capacity.targets is not None and capacity.targets.concurrent_requests is not None:
            high = f"{capacity.targets.concurrent_requests:g} requests under way"
            log.info(
                f"targets: {capacity.targets.invocations_per_minute:g} a minute, or at high resolution {high}"
            )
        compare_with_next(job, endpoint, bench, found)
        found.gates += agreement_gates(job.release, endpoint, job.run, job.following)


def compare_with_next(job: Job, endpoint: str, bench: Bench, found: Measurements) -> None:
    """Compare with the release in the next environment; without one there is no such gate."""
    baseline = find_baseline(job.release, job.run, job.following)
    if isinstance(baseline, str):
        log.info(f"regression: nothing to compare with, {baseline}")
        return
    allowed = bench.profile.slower_than(job.run.env.limits)
    try:
        not_compared = why_not_compared(job.release, baseline.release, job.run)
    except ReleaseError as error:
        found.gates.append(no_regression_gate(error.what, allowed))
        return
    if not_compared is not None:  # their requests cost what they cost: neither is slower than the other
        found.notes.append(f"regression: {not_compared}")
        log.info(found.notes[-1])
        return
    rate = found.capacity.requests_per_second if found.capacity else None
    if rate is None:
        why = "without a capacity there is no fair rate"
        found.gates.append(no_regression_gate(why, allowed))
        return
    safe = rate * job.run.env.autoscaling.safety_factor
    with baseline_endpoint(job.release, job.run, baseline) as against:
        found.regression, files = compare_endpoints(endpoint, against, baseline, job.run.env, bench, safe)
    found.files += files
    found.gates.append(regression_gate(found.regression))


def _measure_fleet(job: Job, bench: Bench, plan: ScalingPlan, found: Measurements) -> None:
    """Hold the steady load, and the surge and calm that make the fleet grow and shrink."""
    out = bench.folder / "scaling.json"
    result, samples = run_under_load(job.run, bench, plan, out)
    found.files.append(out)
    found.gates += judge_steady(result, job.run.env, job.release.id)
    found.gates += _scaling_gates(job, plan, result, samples, found)


def _scaling_gates(
    job: Job, plan: ScalingPlan, result: LoadResult, samples: tuple[FleetSample, ...], found: Measurements
) -> tuple[Gate, ...]:
    """Judge the fleet, and keep the timeline of its phases."""
    env, surge = job.run.env, result.phase("surge")
    events = None if surge is None else read_scaling_events(job.run, surge.started)
    scaling = scaling_run(
        result,
        samples,
        env.autoscaling.min_instances,
        events=events,
        p95_ms=env.limits.p99_ms,
        is_overload=plan.is_overload,
    )
    if scaling is not None and events is not None:
        found.scaling = make_timeline(
            scaling, result, events, policy=plan.policy, scale=time_scale(os.environ)
        )
        for line in table_of(found.scaling):
            log.info(line)
    return judge_scaling(scaling, scaling_limits(env, plan), why_not=plan.reason)


def _plan(job: Job, bench: Bench, found: Measurements, since: float) -> ScalingPlan:
    """Put the measured policy in force and derive the rates from it; without one, a gentle steady load.

    `since`: epoch seconds; clients alone have sent requests to the endpoint since then.
    """
    env, instances, capacity = job.run.env, job.run.env.autoscaling.min_instances, found.capacity
    gentle = partial(gentle_plan, *_served(capacity, bench), instances)
    if capacity is None or capacity.requests_per_second is None:
        return gentle("the capacity of one instance is not known")
    measured = measured_of(capacity, env.autoscaling.safety_factor)
    require_live(job.release, job.run)
    scaling = autoscale(job.run, measured)
    held = held_rate(capacity.steps, per_minute=scaling.target, concurrency=scaling.concurrency_target)
    if held is None:
        return gentle(scaling.reason)
    if not wait_for_rest(job.run, instances):
        return gentle(f"the fleet did not come to rest at {instances} instances before the load")
    plan = plan_scaling(
        capacity_rps=capacity.requests_per_second,
        target_rps=held,
        instances=instances,
        maximum=env.autoscaling.max_instances,
        existing_rps=existing_traffic(job.run, since),
        overload=bench.profile.overload,
    )
    log.info(f"scaling: {plan.reason}")
    return replace(plan, policy="; ".join(scaling.policies.values()))


def _served(capacity: Capacity | None, bench: Bench) -> tuple[float | None, float]:
    """Return the highest rate that one instance kept the SLO at, None for none, and the lowest that was tried."""
    if capacity is None or not capacity.steps:
        return None, bench.profile.first_rps
    good, _ = bracket(capacity.steps, capacity.slo)
    return good.offered_rps if good else None, min(step.offered_rps for step in capacity.steps)
