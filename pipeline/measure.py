"""Measure on live endpoints: what one instance can do, and what the fleet does under a rising load."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.aws import Aws
from pipeline.capacity import (
    Capacity,
    Slo,
    Step,
    first_rates,
    judge_capacity,
    lacks_cpu,
    next_rates,
    samples_for,
)
from pipeline.capacity_endpoint import capacity_endpoint
from pipeline.config import Environment, LoadProfile
from pipeline.errors import LoadTestBroken
from pipeline.gates import ENOUGH_REQUESTS
from pipeline.ledger import Told, told
from pipeline.load import GRACE_SECONDS, LoadResult, Phase, RunningLoad, run_load, start_load
from pipeline.records import Say
from pipeline.release import Release
from pipeline.scaling import FleetSample, ScalingPlan, ScalingRun, returned_at, scaled_out_at

LOOK_SECONDS = 1.0
ROUNDS = 5  # the climb, its refinements, making sure, and one more for a hiccup of the machine
METRIC_PATIENCE = 4.0  # × step_seconds: with steps of a minute, longer than CloudWatch's usual delay


@dataclass(frozen=True)
class Bench:
    """Where and with what to measure: folder for the results, golden set, profile."""

    folder: Path
    golden: Path
    profile: LoadProfile


def measure_capacity(
    release: Release, env: Environment, aws: Aws, bench: Bench, say: Say
) -> tuple[Capacity, tuple[Path, ...]]:
    """Find the highest rate that one instance serves within the limits, on an endpoint of its own.

    Returns it with the result files of the load tests that show it.
    """
    slo = Slo(p99_ms=env.limits.p99_ms, error_percent=env.limits.error_percent)
    with capacity_endpoint(release, env, aws, say) as endpoint:
        steps, files = _search(endpoint, slo, env, aws, bench, say)
    finding = judge_capacity(steps, slo, env.endpoint.instance_type)
    capacity = Capacity(
        release=release.id,
        instance_type=env.endpoint.instance_type,
        slo=slo,
        steps=tuple(steps),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **finding.document(),
    )
    return capacity, tuple(files)


def _search(
    endpoint: str, slo: Slo, env: Environment, aws: Aws, bench: Bench, say: Say
) -> tuple[list[Step], list[Path]]:
    """Climb until the promise breaks, then look between; each round is one load test."""
    profile = bench.profile
    bounds = {"growth": profile.growth, "maximum_rps": profile.maximum_rps}
    steps: list[Step] = []
    files: list[Path] = []
    rates = first_rates(first_rps=profile.first_rps, **bounds)
    for number in range(1, ROUNDS + 1):
        phases = [
            Phase(
                f"round {number} at {rate:g}/s",
                long_enough(profile.step_seconds, rate, samples_for(rate, steps)),
                rate,
            )
            for rate in rates
        ]
        files.append(bench.folder / f"capacity-{number}.json")
        result = run_load(endpoint, bench.golden, phases, files[-1], say, slo=slo.document())
        found = steps_of(result, [])
        if lacks_cpu([*steps, *found], slo, env.endpoint.instance_type):  # asked only then: metrics come late
            cpu = _instance_cpu(result, endpoint, env, aws, profile.step_seconds)
            found = steps_of(result, cpu)
        steps += found
        rates = next_rates(steps, slo, env.endpoint.instance_type, **bounds)
        if not rates:
            break
    return steps, files


def long_enough(seconds: float, requests_per_second: float, samples: int) -> float:
    """Return the seconds asked for, or as many as it takes to send clearly more than `samples`."""
    return max(seconds, 1.2 * samples / requests_per_second)


def steps_of(result: LoadResult, cpu: Sequence[tuple[float, float]]) -> tuple[Step, ...]:
    """Turn the phases of a load test into steps; `cpu`: (epoch s, percent) of the instance.

    A step's CPU is the highest of its samples: periods at its edges hold some of its neighbours' calm.
    """
    return tuple(
        Step(
            offered_rps=phase.offered_rps,
            achieved_rps=phase.achieved_rps,
            p50_ms=phase.p50_ms,
            p99_ms=phase.p99_ms,
            error_percent=phase.error_percent if phase.error_percent is not None else 100.0,
            seconds=phase.seconds,
            instance_cpu_percent=max(
                (value for at, value in cpu if phase.started <= at < phase.finished), default=None
            ),
            generator_cpu_percent=phase.generator_cpu_percent,
            invalid=phase.invalid,
            requests=phase.requests,
            over=None if phase.slow is None else phase.failures + phase.slow,
        )
        for phase in result.phases
    )


def _instance_cpu(
    result: LoadResult, endpoint: str, env: Environment, aws: Aws, step_seconds: float
) -> list[tuple[float, float]]:
    """Ask CloudWatch for the instance's CPU during the run, until its last phase is covered, bounded."""
    if not result.phases or result.started is None:
        return []
    last, patience = result.phases[-1], time.monotonic() + METRIC_PATIENCE * step_seconds
    dimensions = {"EndpointName": endpoint, "VariantName": env.endpoint.variant}
    while True:
        found = aws.metric(
            "/aws/sagemaker/Endpoints",
            "CPUUtilization",
            dimensions,
            "Average",
            60,
            result.started - 60,
            last.finished + 60,
        )
        is_covered = any(last.started <= at < last.finished for at, _ in found)
        if is_covered or time.monotonic() > patience:
            return found
        aws.sleep(LOOK_SECONDS)


def wait_for_rest(env: Environment, aws: Aws, instances: int) -> bool:
    """Say whether the fleet came to rest at so many instances within the scale-in limit."""
    deadline = time.monotonic() + env.limits.scale_in_seconds
    while not fleet_sample(env, aws).rests_at(instances):
        if time.monotonic() > deadline:
            return False
        aws.sleep(LOOK_SECONDS)
    return True


def fleet_sample(env: Environment, aws: Aws) -> FleetSample:
    """Look at the deployed endpoint's fleet, now."""
    described = aws.describe_endpoint(env.endpoint.name)
    if described is None:
        return FleetSample(time.time(), "gone", None, None)
    (variant,) = [
        each
        for each in described.get("ProductionVariants", [])
        if each["VariantName"] == env.endpoint.variant
    ] or [{}]
    return FleetSample(
        time.time(),
        str(described["EndpointStatus"]),
        variant.get("CurrentInstanceCount"),
        variant.get("DesiredInstanceCount"),
    )


def run_under_load(
    env: Environment, aws: Aws, bench: Bench, plan: ScalingPlan, out: Path, say: Say
) -> tuple[LoadResult, tuple[FleetSample, ...]]:
    """Hold the steady load; then, if the plan has a surge, hold that until the fleet has grown, and a
    calm until it is back at its minimum. One load test, so that no request between is unseen."""
    limits, look = env.limits, 2 * LOOK_SECONDS
    seconds = long_enough(bench.profile.steady_seconds, plan.steady_rps, ENOUGH_REQUESTS)
    phases = [Phase("steady", seconds, plan.steady_rps)]
    if plan.surge_rps is not None:
        phases.append(Phase("surge", limits.scale_out_seconds + look, plan.surge_rps))
        phases.append(Phase("calm", limits.scale_in_seconds + look, plan.calm_rps))
    deadline = time.monotonic() + sum(phase.seconds for phase in phases) + GRACE_SECONDS
    samples: list[FleetSample] = []
    with start_load(env.endpoint.name, bench.golden, phases, out) as load:
        conductor = Conductor(load, env.autoscaling.min_instances)
        while load.is_running:
            if time.monotonic() > deadline:
                raise LoadTestBroken("The load test did not end.", fix=f"Read {load.log}; try it again.")
            samples.append(fleet_sample(env, aws))
            conductor.look(load.report(say), samples)
            aws.sleep(LOOK_SECONDS)
        load.report(say)
        return load.read(), tuple(samples)


@dataclass
class Conductor:
    """Ends the surge when the fleet has grown, and the calm when it is back at its minimum."""

    load: RunningLoad
    instances: int
    rose_at: float | None = None
    fell_at: float | None = None
    has_grown: bool = False

    def look(self, ended: Sequence[str], samples: Sequence[FleetSample]) -> None:
        """Act on which phases have ended and on the fleet's history so far."""
        now = samples[-1].at
        if self.rose_at is None:
            self.rose_at = now if "steady" in ended else None
        elif self.fell_at is None:
            if not self.has_grown and scaled_out_at(samples, self.rose_at, self.instances):
                self.has_grown = True
                self.load.next_phase()
            self.fell_at = now if "surge" in ended else None
        elif not self.has_grown or returned_at(samples, self.fell_at, self.instances):
            self.load.stop()


def scaling_run(result: LoadResult, samples: tuple[FleetSample, ...], instances: int) -> ScalingRun | None:
    """Put the load's phases and the fleet's history together; None when the load never rose."""
    surge, calm = result.phase("surge"), result.phase("calm")
    if surge is None:
        return None
    phases = [phase for phase in (surge, calm) if phase is not None]
    return ScalingRun(
        samples=samples,
        instances=instances,
        rose_at=surge.started,
        fell_at=calm.started if calm else None,
        requests=sum(phase.requests for phase in phases),
        lost=sum(phase.failures for phase in phases),
    )


def ask_what_happened(env: Environment, aws: Aws, since: float) -> Told:
    """Ask CloudWatch and autoscaling what they did to the deployed endpoint since then (epoch s)."""
    endpoint, variant = env.endpoint.name, env.endpoint.variant
    begin = datetime.fromtimestamp(since, UTC)
    history = aws.pages(
        "cloudwatch",
        "describe_alarm_history",
        "AlarmHistoryItems",
        HistoryItemType="StateUpdate",
        StartDate=begin,
    )
    ours = f"TargetTracking-endpoint/{endpoint}/variant/{variant}-"
    return told(
        [item for item in history if item["AlarmName"].startswith(ours)],
        [each for each in aws.scaling_activities(endpoint, variant) if each["StartTime"] >= begin],
    )
