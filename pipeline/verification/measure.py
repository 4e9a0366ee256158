"""Measure the capacity of one instance, on an endpoint of its own."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.aws.waiting import wait_until
from pipeline.config import LoadProfile
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.capacity import Capacity, Slo, Step, judge_capacity
from pipeline.verification.capacity_search import first_rates, lacks_cpu, next_rates, samples_for
from pipeline.verification.load import LoadResult, Phase, run_load
from pipeline.verification.sizing import targets_of

CPU = ("/aws/sagemaker/Endpoints", "CPUUtilization")
CONCURRENCY = ("AWS/SageMaker", "ConcurrentRequestsPerModel")
LOOK_SECONDS = 1.0
ROUNDS = 12  # the climb, its refinements, confirmations at lower and lower rates, and some for hiccups of the machine
METRIC_PATIENCE = 4.0  # × step_seconds: with steps of a minute, longer than CloudWatch's usual delay


@dataclass(frozen=True)
class Bench:
    """The setup of a measurement: folder for the results, golden set, profile."""

    folder: Path
    golden: Path
    profile: LoadProfile


def measure_capacity(
    release: Release, endpoint: str, run: Run, bench: Bench
) -> tuple[Capacity, tuple[Path, ...]]:
    """Find the highest rate that the one instance of `endpoint` serves within the limits of `env`.

    Returns the capacity with the result files of the load tests that show it.
    """
    slo = Slo(p99_ms=run.env.limits.p99_ms, error_percent=run.env.limits.error_percent)
    steps, files = _search(endpoint, slo, run, bench)
    finding = judge_capacity(steps, slo, run.env.endpoint.instance_type)
    capacity = Capacity(
        release=release.id,
        instance_type=run.env.endpoint.instance_type,
        slo=slo,
        targets=targets_of(steps, finding.requests_per_second, run.env.autoscaling.safety_factor),
        steps=tuple(steps),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **finding.document(),
    )
    return capacity, tuple(files)


def _search(endpoint: str, slo: Slo, run: Run, bench: Bench) -> tuple[list[Step], list[Path]]:
    """Raise the rate until the SLO breaks, then try rates between; each round is one load test."""
    profile = bench.profile
    bounds = {"growth": profile.growth, "maximum_rps": profile.maximum_rps}
    steps: list[Step] = []
    files: list[Path] = []
    rounds: list[tuple[LoadResult, tuple[Step, ...]]] = []
    rates = first_rates(first_rps=profile.first_rps, **bounds)
    for number in range(1, ROUNDS + 1):
        phases = [
            Phase(
                f"round {number} at {rate:g}/s",
                long_enough(profile.step_seconds, rate, samples_for(rate, steps, slo)),
                rate,
            )
            for rate in rates
        ]
        files.append(bench.folder / f"capacity-{number}.json")
        result = run_load(endpoint, bench.golden, phases, files[-1], slo=slo.document())
        found = steps_of(result, [])
        if lacks_cpu([*steps, *found], slo, run.env.endpoint.instance_type):  # only then: metrics are delayed
            cpu = _instance_cpu(result, endpoint, run, profile.step_seconds)
            found = steps_of(result, cpu)
        steps += found
        rounds.append((result, found))
        rates = next_rates(steps, slo, run.env.endpoint.instance_type, **bounds)
        if not rates:
            break
    return [
        step
        for result, found in rounds
        for step in with_concurrency(found, result, _concurrency(result, endpoint, run))
    ], files


def long_enough(seconds: float, requests_per_second: float, samples: int) -> float:
    """Return `seconds`, or the seconds that it takes to send clearly more than `samples`."""
    return max(seconds, 1.2 * samples / requests_per_second)


def steps_of(result: LoadResult, cpu: Sequence[tuple[float, float]]) -> tuple[Step, ...]:
    """Turn the phases of a load test into steps; `cpu`: (epoch s, percent) of the instance.

    A step's CPU is the highest of its samples: periods at its edges overlap its neighbours.
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
    result: LoadResult, endpoint: str, run: Run, step_seconds: float
) -> list[tuple[float, float]]:
    """Return CloudWatch's CPU of the instance during the run, once its last phase is covered, bounded."""
    if not result.phases or result.started is None:
        return []
    last, between = result.phases[-1], (result.started - 60, result.phases[-1].finished + 60)
    dimensions = {"EndpointName": endpoint, "VariantName": run.env.endpoint.variant}
    return wait_until(
        lambda: run.aws.metric(CPU, dimensions, "Average", 60, between),
        lambda found: any(last.started <= at < last.finished for at, _ in found),
        METRIC_PATIENCE * step_seconds,
        run.clock,
        pause=lambda _: LOOK_SECONDS,
    )


def _concurrency(result: LoadResult, endpoint: str, run: Run) -> list[tuple[float, float]]:
    """Return CloudWatch's concurrent requests on the instance, every 10 s, once the search is over.

    Missing samples are not waited for: those of the lower rates, which matter, are mostly there.
    """
    if not result.phases:
        return []
    dimensions = {"EndpointName": endpoint, "VariantName": run.env.endpoint.variant}
    between = (result.phases[0].started, result.phases[-1].finished)
    return run.aws.metric(CONCURRENCY, dimensions, "Maximum", 10, between)


def with_concurrency(
    steps: Sequence[Step], result: LoadResult, samples: Sequence[tuple[float, float]]
) -> tuple[Step, ...]:
    """Add to each step the median of the metric's samples (epoch s, requests) within its phase.

    The median is used because the policy's alarm needs three of three samples over its target.
    """
    found = []
    for step, phase in zip(steps, result.phases, strict=True):
        within = [value for at, value in samples if phase.started <= at < phase.finished]
        concurrency = statistics.median(within) if within else None
        found.append(step.model_copy(update={"concurrency": concurrency}))
    return tuple(found)
