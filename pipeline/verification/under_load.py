"""Hold a load on the deployed endpoint and watch its fleet.

A rise to the steady rate, which opens the connections; steady; at rest, should the steady load have scaled the fleet; a surge until it has grown; a calm until it is back.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.aws.clock import time_scale
from pipeline.aws.waiting import wait_until
from pipeline.errors import LoadTestBroken
from pipeline.gates import ENOUGH_REQUESTS
from pipeline.run import Run
from pipeline.verification.container_starts import read_container_starts
from pipeline.verification.load import GRACE_SECONDS, LoadResult, Phase, RunningLoad, start_load
from pipeline.verification.measure import Bench, long_enough
from pipeline.verification.scaling import (
    MINUTE,
    FleetSample,
    ScalingPlan,
    returned_at,
    scaled_out_at,
    traffic_rps,
)
from pipeline.verification.scaling_gates import ScalingRun
from pipeline.verification.scaling_timeline import ScalingEvents, breach, scaling_events
from pipeline.verification.steady_gates import WARM_UP

INVOCATIONS = ("AWS/SageMaker", "Invocations")
LOOK_SECONDS = 1.0
WARM_UP_SECONDS = 4.0
HOLD_SHARE, HOLD_SECONDS = 0.5, 5.0  # how long an overload goes on when more instances serve


def wait_for_rest(run: Run, instances: int) -> bool:
    """Say whether the fleet came to rest at this size within the scale-in limit."""
    sample = wait_until(
        lambda: fleet_sample(run),
        lambda sample: sample.rests_at(instances),
        run.env.limits.scale_in_seconds,
        run.clock,
        pause=lambda _: LOOK_SECONDS,
    )
    return sample.rests_at(instances)


def existing_traffic(run: Run, since: float) -> float:
    """Return the requests a second that the deployed endpoint has had since then (epoch seconds), by CloudWatch."""
    watched = {"EndpointName": run.env.endpoint.name, "VariantName": run.env.endpoint.variant}
    counts = run.aws.metric(INVOCATIONS, watched, "Sum", int(MINUTE), (since, run.clock.now()))
    return traffic_rps(counts, since, time_scale(os.environ) or 1.0)


def fleet_sample(run: Run) -> FleetSample:
    """Describe the deployed endpoint's fleet, now."""
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    if described is None:
        return FleetSample(run.clock.now(), "gone", None, None)
    (variant,) = [
        each
        for each in described.get("ProductionVariants", [])
        if each["VariantName"] == run.env.endpoint.variant
    ] or [{}]
    return FleetSample(
        run.clock.now(),
        str(described["EndpointStatus"]),
        variant.get("CurrentInstanceCount"),
        variant.get("DesiredInstanceCount"),
    )


def run_under_load(
    run: Run, bench: Bench, plan: ScalingPlan, out: Path
) -> tuple[LoadResult, tuple[FleetSample, ...]]:
    """Hold the steady load; then, if the plan has one, a surge until the fleet has grown, and a calm until it is back.

    It is one load test, so that no request in between is missed.
    """
    phases = _phases(run, bench, plan)
    samples: list[FleetSample] = []
    with start_load(run.env.endpoint.name, bench.golden, phases, out) as load:
        controller = PhaseController(load, run.env.autoscaling.min_instances, plan.is_overload)

        def look() -> bool:
            if not load.is_running:
                return False
            samples.append(fleet_sample(run))
            controller.look(load.report(), samples)
            return True

        wait_until(
            look,
            lambda is_running: not is_running,
            sum(phase.seconds for phase in phases) + GRACE_SECONDS,
            run.clock,
            timed_out=lambda *_: LoadTestBroken(
                "The load test did not end.", fix=f"Read {load.log}; try it again."
            ),
            pause=lambda _: LOOK_SECONDS,
        )
        load.report()
        return load.read(), tuple(samples)


def _phases(run: Run, bench: Bench, plan: ScalingPlan) -> list[Phase]:
    limits, look = run.env.limits, 2 * LOOK_SECONDS
    seconds = long_enough(bench.profile.steady_seconds, plan.steady_rps, ENOUGH_REQUESTS)
    warm_up = Phase(WARM_UP, WARM_UP_SECONDS, plan.steady_rps / 10, until=plan.steady_rps)
    steady = Phase("steady", seconds, plan.steady_rps)
    if plan.surge_rps is None:
        return [warm_up, steady]
    longest = (1 + HOLD_SHARE) * limits.scale_out_seconds + HOLD_SECONDS
    surge_seconds = look + (longest if plan.is_overload else limits.scale_out_seconds)
    return [
        warm_up,
        steady,
        Phase("rest", limits.scale_in_seconds, plan.calm_rps),
        Phase("surge", surge_seconds, plan.surge_rps),
        Phase("calm", limits.scale_in_seconds + look, plan.calm_rps),
    ]


@dataclass
class PhaseController:
    """Ends the rest when the fleet has its minimum, the surge when it has grown, and the calm when it is back.

    `is_overload`: the surge goes on for half as long again as the fleet took to grow, and five seconds, so
    that the queue of waiting requests can empty.
    """

    load: RunningLoad
    instances: int
    is_overload: bool = False
    rose_at: float | None = None
    grown_at: float | None = None
    fell_at: float | None = None
    has_rested: bool = False
    has_asked: bool = False

    def look(self, ended: Sequence[str], samples: Sequence[FleetSample]) -> None:
        """Act on the phases that have ended and on the fleet's history so far."""
        now = samples[-1].at
        if self.rose_at is None:
            self.rose_at = now if "rest" in ended else None
            is_resting = "steady" in ended and self.rose_at is None and samples[-1].rests_at(self.instances)
            if is_resting and not self.has_rested:
                self.has_rested = True
                self.load.next_phase()
        elif self.fell_at is None:
            self.grown_at = scaled_out_at(samples, self.rose_at, self.instances)
            if self.grown_at and not self.has_asked and now >= self._may_fall_at(self.rose_at, self.grown_at):
                self.has_asked = True
                self.load.next_phase()
            self.fell_at = now if "surge" in ended else None
        elif self.grown_at is None or returned_at(samples, self.fell_at, self.instances):
            self.load.stop()

    def _may_fall_at(self, rose_at: float, grown_at: float) -> float:
        return grown_at + HOLD_SHARE * (grown_at - rose_at) + HOLD_SECONDS if self.is_overload else grown_at


def scaling_run(
    result: LoadResult,
    samples: tuple[FleetSample, ...],
    instances: int,
    *,
    events: ScalingEvents | None = None,
    p95_ms: float = math.inf,
    is_overload: bool = False,
) -> ScalingRun | None:
    """Put together the load's phases, the fleet's history and AWS's events; None when the load never rose.

    Under an overload that the fleet cannot serve, only requests lost while it shrinks count as lost.
    """
    surge, calm = result.phase("surge"), result.phase("calm")
    if surge is None:
        return None
    phases = [phase for phase in (None if is_overload else surge, calm) if phase is not None]
    breached_at, recovered_at = breach(result, surge, p95_ms)
    return ScalingRun(
        samples=samples,
        instances=instances,
        rose_at=surge.started,
        fell_at=calm.started if calm else None,
        requests=sum(phase.requests for phase in phases),
        lost=sum(phase.failures for phase in phases),
        decisions=events.sizes(surge.started) if events else (),
        breached_at=breached_at,
        recovered_at=recovered_at,
        invalid=next((phase.invalid for phase in phases if phase.failures and phase.invalid), None),
    )


def read_scaling_events(run: Run, since: float) -> ScalingEvents:
    """Read the alarms, scaling activities and container starts of the endpoint since then (epoch seconds)."""
    endpoint, variant = run.env.endpoint.name, run.env.endpoint.variant
    begin = datetime.fromtimestamp(since, UTC)
    which = {"HistoryItemType": "StateUpdate", "StartDate": begin}
    history = run.aws.pages("cloudwatch", "describe_alarm_history", "AlarmHistoryItems", **which)
    ours = f"TargetTracking-endpoint/{endpoint}/variant/{variant}-"
    activities = run.aws.scaling_activities(endpoint, variant)
    return scaling_events(
        [item for item in history if item["AlarmName"].startswith(ours)],
        [each for each in activities if each["StartTime"] >= begin],
        read_container_starts(endpoint, variant, run.aws, since),
    )
