"""Hold a load on the deployed endpoint and watch its fleet: steady, a surge until it has grown, a calm until it is back."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.errors import LoadTestBroken
from pipeline.gates import ENOUGH_REQUESTS
from pipeline.state.records import Say
from pipeline.verification.ledger import Told, breach, told
from pipeline.verification.load import GRACE_SECONDS, LoadResult, Phase, RunningLoad, start_load
from pipeline.verification.measure import Bench, long_enough
from pipeline.verification.scaling import FleetSample, ScalingPlan, returned_at, scaled_out_at
from pipeline.verification.scaling_gates import ScalingRun
from pipeline.verification.starts import read_starts

LOOK_SECONDS = 1.0
HOLD_SHARE, HOLD_SECONDS = 0.5, 5.0  # how long an overload goes on when more instances serve


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
    calm until it is back at its minimum. One load test, so that no request between is unseen.
    """
    limits, look = env.limits, 2 * LOOK_SECONDS
    seconds = long_enough(bench.profile.steady_seconds, plan.steady_rps, ENOUGH_REQUESTS)
    phases = [Phase("steady", seconds, plan.steady_rps)]
    if plan.surge_rps is not None:
        longest = (1 + HOLD_SHARE) * limits.scale_out_seconds + HOLD_SECONDS
        phases.append(
            Phase("surge", look + (longest if plan.is_overload else limits.scale_out_seconds), plan.surge_rps)
        )
        phases.append(Phase("calm", limits.scale_in_seconds + look, plan.calm_rps))
    deadline = time.monotonic() + sum(phase.seconds for phase in phases) + GRACE_SECONDS
    samples: list[FleetSample] = []
    with start_load(env.endpoint.name, bench.golden, phases, out) as load:
        conductor = Conductor(load, env.autoscaling.min_instances, plan.is_overload)
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
    """Ends the surge when the fleet has grown, and the calm when it is back at its minimum.

    `is_overload`: the surge goes on for half as long again as the fleet took to grow, and five seconds, so
    that the queue which built up meanwhile can go.
    """

    load: RunningLoad
    instances: int
    is_overload: bool = False
    rose_at: float | None = None
    grown_at: float | None = None
    fell_at: float | None = None
    has_asked: bool = False

    def look(self, ended: Sequence[str], samples: Sequence[FleetSample]) -> None:
        """Act on which phases have ended and on the fleet's history so far."""
        now = samples[-1].at
        if self.rose_at is None:
            self.rose_at = now if "steady" in ended else None
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
    found: Told | None = None,
    p95_ms: float = math.inf,
    is_overload: bool = False,
) -> ScalingRun | None:
    """Put the load's phases, the fleet's history and what AWS told together; None when the load never rose.

    Under an overload that the fleet cannot serve, only what is lost while it shrinks is a loss.
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
        decisions=found.sizes(surge.started) if found else (),
        breached_at=breached_at,
        recovered_at=recovered_at,
        invalid=next((phase.invalid for phase in phases if phase.failures and phase.invalid), None),
    )


def ask_what_happened(env: Environment, aws: Aws, since: float) -> Told:
    """Ask CloudWatch, autoscaling and the containers' logs what became of the deployed endpoint since then (epoch s)."""
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
    starts = read_starts(endpoint, variant, aws, since)
    return told(
        [item for item in history if item["AlarmName"].startswith(ours)],
        [each for each in aws.scaling_activities(endpoint, variant) if each["StartTime"] >= begin],
        starts,
    )
