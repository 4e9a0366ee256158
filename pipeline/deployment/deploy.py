"""Put a release on an environment's endpoint: observe, plan, apply, wait until it is live, prove it."""

import logging
import os
from collections.abc import Sequence
from functools import partial

from golden import GoldenSet
from pipeline.autoscaling.saved_scaling import restore_scaling, scaling_saved
from pipeline.aws import AwsClient, Call
from pipeline.aws.clock import time_scale
from pipeline.aws.waiting import wait_until
from pipeline.ci import github_run_url
from pipeline.config import Environment, Strategy, strategy_of
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.bake import BakeSmoke, unchecked_gate, veto_call
from pipeline.deployment.bake_judge import BakeVerdict
from pipeline.deployment.diagnosis import recent_logs
from pipeline.deployment.endpoint_state import is_on_its_way
from pipeline.deployment.judged_bake import judge_for
from pipeline.deployment.live import PROOF_SECONDS, Waiter
from pipeline.deployment.observe import observe
from pipeline.deployment.plan import Plan, plan_deployment
from pipeline.deployment.quiet_alarms import require_quiet_alarms
from pipeline.errors import AwsRefused, DeploymentTimedOut
from pipeline.gates import Gate
from pipeline.model import Model
from pipeline.release import Release
from pipeline.release_store.golden import read_golden, why_not_compared_fleets
from pipeline.run import Run
from pipeline.state.lock_info import actor
from pipeline.state.records import DeploymentRecord, last_deployment, record_deployment

log = logging.getLogger(__name__)

PROVISION_SECONDS = 1800  # AWS gives up looking for capacity after about half an hour
STARTS_TRIED = 3  # and starts an unhealthy instance about three times
ROLLBACK_SECONDS = 600
DELETION_SECONDS = 900


class DeployResult(Model):
    """The state of the endpoint at the end of `deploy`."""

    release: str
    config: str
    endpoint: str
    instances_proved: int
    in_service_at: float  # epoch seconds
    bake: Gate | None = None  # the smoke test of the bake; None: nothing has baked
    judged: BakeVerdict | None = None  # the comparison of both fleets; None: they did not serve side by side
    strategy: Strategy | None = None  # by which the traffic was moved; None: it was not
    unchecked: bool = False  # nothing was compared: the release has no golden requests
    notes: tuple[str, ...] = ()  # what was not compared or proved, and why


def bound_seconds(env: Environment, operation: str) -> float:
    """Return the most seconds that a deployment may take, by the config's limits for each of its parts."""
    if operation == "create_endpoint":
        return PROVISION_SECONDS + STARTS_TRIED * env.endpoint.startup_timeout_seconds
    return env.deployment.maximum_execution_seconds + ROLLBACK_SECONDS


def deploy(
    release: Release,
    run: Run,
    *,
    existing_config: str | None = None,
    proof_seconds: float = PROOF_SECONDS,
    is_compared: bool = True,
) -> DeployResult:
    """Put `release` on the endpoint and return when it is live. `existing_config`: see `plan_deployment`.

    `is_compared`: with the release that is live; not when a rollback leaves that one.

    Raises DeploymentRolledBack when SageMaker put the old release back, DeploymentFailed,
    DeploymentTimedOut, ReleaseUnproved, EndpointBusy, AlarmNotQuiet, or SmokeFailed when the new fleet
    failed its golden tests, or is worse than the old one, and no veto could roll it back.
    """
    endpoint = run.env.endpoint.name
    golden = read_golden(release, run)
    observed = observe(release, run, existing_config=existing_config)
    plan = plan_deployment(release, run.env, observed, existing_config=existing_config)
    if not plan.calls and not plan.is_resumed:
        log.info(f"{release.id} is already live on {endpoint}: no calls planned")
    _apply_preparation(plan, run)
    waiter = _waiter(release.id, plan.config, golden, run)
    waiter.proof_seconds, not_compared = proof_seconds, ""
    if plan.shift or plan.is_resumed:
        if is_compared:
            not_compared = why_not_compared_fleets(release, observed.live_config, run)
            waiter.judge = None if not_compared else judge_for(release, run, plan, observed)
        _shift_and_wait(plan, run, waiter)
    else:
        restore_scaling(run)
        waiter.bake = _smoke_that_a_killed_run_missed(waiter, run)
    in_service_at = run.clock.now()
    proved = waiter.prove()
    log.info(f"{proved} instances of {endpoint} answer with release {release.id}")
    waiter.judge_some()
    waiter.judge_errors()
    bake = _judged(waiter, plan, endpoint)
    judged = waiter.judge.require_not_vetoed(endpoint) if waiter.judge else None
    run.apply(plan.clean)
    if bake is not None:
        log.info(f"{bake.name}: {bake.verdict.upper()}, {bake.reason}")
    if judged is not None:
        log.info(f"judge of the bake: {judged.verdict.upper()}, {judged.reason}")
    for note in filter(None, [*release.notes, waiter.unproved]):
        log.warning(note)
    record = _record(release, run, plan.config, in_service_at)
    return DeployResult(
        release=release.id,
        config=plan.config,
        endpoint=endpoint,
        instances_proved=proved,
        in_service_at=record.in_service_at,
        bake=bake,
        judged=judged,
        strategy=record.strategy,
        unchecked=release.unchecked,
        notes=(*release.notes, *filter(None, [not_compared, waiter.unproved])),
    )


def _judged(waiter: Waiter, plan: Plan, endpoint: str) -> Gate | None:
    """Return the gate of the bake; None when nothing has baked. Raises SmokeFailed."""
    if waiter.bake is not None:
        return waiter.bake.require_right(endpoint)
    return unchecked_gate() if waiter.golden is None and _is_update(plan) else None


def _is_update(plan: Plan) -> bool:
    return plan.is_resumed or (plan.shift is not None and plan.shift.operation == "update_endpoint")


def _waiter(release: str, config: str, golden: GoldenSet | None, run: Run) -> Waiter:
    """Return a waiter for `config` with this environment's alarms, limits and logs."""
    return Waiter(
        aws=run.aws,
        endpoint=run.env.endpoint.name,
        config=config,
        release=release,
        golden=golden,
        alarm_prefix=f"{alarm_prefix(run.env)}{config}/",
        clock=run.clock,
        limit_seconds=run.env.deployment.maximum_execution_seconds,
        scale=time_scale(os.environ) or 1.0,
        recent_logs=partial(recent_logs, run.env.endpoint.name, run.aws),
        veto=partial(_veto, run, config),
    )


def _apply_preparation(plan: Plan, run: Run) -> None:
    for call in plan.prepare:
        run.apply([call])
        if call.operation == "delete_endpoint":
            wait_until_gone(run.env.endpoint.name, run.aws)


def _shift_and_wait(plan: Plan, run: Run, waiter: Waiter) -> None:
    operation = plan.shift.operation if plan.shift else "update_endpoint"
    if plan.shift and operation == "update_endpoint":
        require_quiet_alarms(plan.config, run)
    if operation == "update_endpoint" and waiter.golden is not None:
        waiter.bake = BakeSmoke(waiter.golden, waiter.release)
    with scaling_saved(plan.save_scaling, run):
        if plan.shift:
            _ask_for(plan.shift, plan.config, run)
        else:
            log.info(f"{plan.config} is on its way already: waiting for it")
        waiter.until_in_service(bound_seconds(run.env, operation), had_traffic=operation == "update_endpoint")


def _smoke_that_a_killed_run_missed(waiter: Waiter, run: Run) -> BakeSmoke | None:
    """Return the smoke test of a fleet that went live while no run was there to record it; None: one was."""
    last = last_deployment(run.aws, run.env.name)
    is_recorded = last is None or last.config == waiter.config
    return None if is_recorded or waiter.golden is None else BakeSmoke(waiter.golden, waiter.release)


def _ask_for(shift: Call, config: str, run: Run) -> None:
    """Ask for the shift. A refused retry means that the first request was accepted."""
    try:
        run.apply([shift])
    except AwsRefused:
        if not is_on_its_way(run.aws.describe_endpoint(run.env.endpoint.name), config):
            raise
        log.info(f"{config} is on its way: an earlier try was accepted")


def _veto(run: Run, config: str, faults: Sequence[str]) -> None:
    """Keep the veto's alarm firing."""
    run.apply([veto_call(run.env, config, faults)])


def wait_until_gone(endpoint: str, aws: AwsClient) -> None:
    """Return when a deleted endpoint is gone. Raises DeploymentTimedOut."""
    wait_until(
        lambda: aws.describe_endpoint(endpoint),
        lambda described: described is None,
        DELETION_SECONDS,
        aws.clock,
        timed_out=lambda _, waited: DeploymentTimedOut(
            f"Endpoint {endpoint} is still there {waited:.0f} s after its deletion.",
            fix="Run the same command again.",
        ),
    )


def _record(release: Release, run: Run, config: str, in_service_at: float) -> DeploymentRecord:
    """Keep the deployment in S3, once; a repeated deploy of the live release keeps the first record."""
    last = last_deployment(run.aws, run.env.name)
    if last is not None and last.config == config:
        return last
    record = DeploymentRecord(
        environment=run.env.name,
        endpoint=run.env.endpoint.name,
        release=release.id,
        config=config,
        in_service_at=in_service_at,
        run_url=release.run_url,
        deployed_by_run=github_run_url(),
        by=actor(os.environ),
        strategy=_strategy(run),
    )
    record_deployment(run.aws, record)
    return record


def _strategy(run: Run) -> Strategy | None:
    """Return the strategy by which AWS moved the traffic, also for a run that was killed before its record."""
    described = run.aws.describe_endpoint(run.env.endpoint.name) or {}
    return strategy_of(described.get("LastDeploymentConfig"))
