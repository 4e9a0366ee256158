"""Put a release on an environment's endpoint: observe, plan, apply, wait until it is live, prove it."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pipeline.autoscaling.rescale import put_back, scaling_set_aside
from pipeline.aws import Aws, Call
from pipeline.aws.clock import time_scale
from pipeline.aws.waiting import pause_seconds
from pipeline.ci import github_run_url
from pipeline.config import Environment, Strategy, strategy_of
from pipeline.deployment.alarms import alarm_prefix, alarms_of
from pipeline.deployment.bake import BakeSmoke, Golden
from pipeline.deployment.diagnosis import last_words
from pipeline.deployment.live import PROOF_SECONDS, Waiter, is_on_its_way
from pipeline.deployment.observe import observe
from pipeline.deployment.plan import Plan, plan_deployment
from pipeline.errors import AlarmNotQuiet, AwsRefused, DeploymentTimedOut
from pipeline.gates import Gate
from pipeline.model import Model
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.state.lock_info import who
from pipeline.state.records import DeploymentRecord, Say, last_deployment, record_deployment

PROVISION_SECONDS = 1800  # AWS gives up looking for capacity after about half an hour
STARTS_TRIED = 3  # and starts an unhealthy instance about three times
ROLLBACK_SECONDS = 600
DELETION_SECONDS = 900


class AlarmDoor(Protocol):
    """What waiting for quiet alarms needs of AWS."""

    @property
    def sleep(self) -> Callable[[float], None]: ...
    def alarms(self, *, names: Sequence[str] = ...) -> list[dict[str, Any]]: ...


class DeployResult(Model):
    """What `deploy` found true at its end."""

    release: str
    config: str
    endpoint: str
    instances_proved: int
    in_service_at: float  # epoch seconds
    bake: Gate | None = None  # the smoke test of the bake; None: nothing has baked
    strategy: Strategy | None = None  # by which the traffic was moved; None: it was not


def bound_seconds(env: Environment, operation: str) -> float:
    """How long a deployment may take at most, by what the config allows each of its parts."""
    if operation == "create_endpoint":
        return PROVISION_SECONDS + STARTS_TRIED * env.endpoint.startup_timeout_seconds
    return env.deployment.maximum_execution_seconds + ROLLBACK_SECONDS


def deploy(
    release: Release,
    env: Environment,
    aws: Aws,
    build: Path,
    say: Say = print,
    *,
    at_hand: str | None = None,
    proof_seconds: float = PROOF_SECONDS,
) -> DeployResult:
    """Put `release` on the endpoint of `env` and return when it is live. `at_hand`: see `plan_deployment`.

    Raises DeploymentRolledBack when SageMaker put the old release back, DeploymentFailed,
    DeploymentTimedOut, ReleaseUnproved, EndpointBusy, AlarmNotQuiet, or SmokeFailed when the new fleet
    was wrong and no veto could roll it back.
    """
    golden = Golden.parse(fetch_golden(release, aws, build).read_text())
    observed = observe(release, env, aws, at_hand=at_hand)
    plan = plan_deployment(release, env, observed, at_hand=at_hand)
    if not plan.calls and not plan.is_resumed:
        say(f"{release.id} is already live on {env.endpoint.name}: no calls planned")
    _apply_preparation(plan, env, aws, say)
    waiter = _waiter(release.id, plan.config, golden, env, aws, say)
    waiter.proof_seconds = proof_seconds
    if plan.shift or plan.is_resumed:
        _shift_and_wait(plan, env, aws, waiter, say)
    else:
        put_back(env, aws, say)
    in_service_at = time.time()
    proved = waiter.prove()
    say(f"{proved} instances of {env.endpoint.name} answer with release {release.id}")
    bake = waiter.bake.require_right(env.endpoint.name) if waiter.bake else None
    for call in plan.clean:
        say(call.says)
        aws.apply(call)
    if bake is not None:
        say(f"{bake.name}: {bake.verdict.upper()}, {bake.reason}")
    return _record(release, env, aws, plan, proved, in_service_at, bake)


def _waiter(release: str, config: str, golden: Golden, env: Environment, aws: Aws, say: Say) -> Waiter:
    """Follow the deployment of `config` with this environment's alarms, limits and logs."""
    return Waiter(
        aws=aws,
        endpoint=env.endpoint.name,
        config=config,
        release=release,
        golden=golden,
        alarm_prefix=f"{alarm_prefix(env)}{config}/",
        say=say,
        sleep=aws.sleep,
        limit_seconds=env.deployment.maximum_execution_seconds,
        scale=time_scale(os.environ) or 1.0,
        last_words=partial(last_words, env.endpoint.name, aws),
        veto=partial(_veto, env, config, aws, say),
    )


def _apply_preparation(plan: Plan, env: Environment, aws: Aws, say: Say) -> None:
    for call in plan.prepare:
        say(call.says)
        aws.apply(call)
        if call.operation == "delete_endpoint":
            wait_until_gone(env.endpoint.name, aws)


def _shift_and_wait(plan: Plan, env: Environment, aws: Aws, waiter: Waiter, say: Say) -> None:
    operation = plan.shift.operation if plan.shift else "update_endpoint"
    if plan.shift and operation == "update_endpoint":
        require_quiet_alarms(env, plan.config, aws)
    if operation == "update_endpoint":
        waiter.bake = BakeSmoke(waiter.golden, waiter.release, env.deployment.first_share)
    with scaling_set_aside(plan.set_aside, env, aws, say):
        if plan.shift:
            _ask_for(plan.shift, plan.config, env, aws, say)
        else:
            say(f"{plan.config} is on its way already: waiting for it")
        waiter.until_in_service(bound_seconds(env, operation), had_traffic=operation == "update_endpoint")


def _ask_for(shift: Call, config: str, env: Environment, aws: Aws, say: Say) -> None:
    """Ask for the shift. Refused because an earlier try, whose answer was lost, was accepted, it is under way."""
    say(shift.says)
    try:
        aws.apply(shift)
    except AwsRefused:
        if not is_on_its_way(aws.describe_endpoint(env.endpoint.name), config):
            raise
        say(f"{config} is on its way: an earlier try was accepted")


def _veto(env: Environment, config: str, aws: Aws, say: Say, bake: BakeSmoke) -> None:
    """Keep the veto's alarm firing once the new fleet has given a wrong answer."""
    call = bake.veto(env, config)
    if call is not None:
        say(call.says)
        aws.apply(call)


def require_quiet_alarms(
    env: Environment, config: str, aws: AlarmDoor, clock: Callable[[], float] = time.monotonic
) -> None:
    """Return once every alarm of the new fleet exists and none is in ALARM, as it may be after an
    earlier attempt with the same release. Raises AlarmNotQuiet after two of its periods.
    """
    names = [alarm["AlarmName"] for alarm in alarms_of(env, config)]
    patience = 2.0 * env.alarms.period_seconds * env.alarms.evaluation_periods
    started = clock()
    while loud := _loud(names, aws.alarms(names=names)):
        waited = clock() - started
        if waited > patience:
            raise AlarmNotQuiet(
                f"Before any traffic: {', '.join(f'{name} is {state}' for name, state in loud.items())}.",
                fix="Look at the alarm's history in CloudWatch; wait until it is OK, then deploy again.",
            )
        aws.sleep(pause_seconds(waited))


def _loud(names: list[str], found: list[dict[str, Any]]) -> Mapping[str, str]:
    states = {alarm["AlarmName"]: str(alarm["StateValue"]) for alarm in found}
    return {
        name: states.get(name, "missing")
        for name in names
        if states.get(name) not in {"OK", "INSUFFICIENT_DATA"}
    }


def wait_until_gone(endpoint: str, aws: Aws) -> None:
    """Return when a deleted endpoint is gone. Raises DeploymentTimedOut."""
    started = time.monotonic()
    while aws.describe_endpoint(endpoint) is not None:
        waited = time.monotonic() - started
        if waited > DELETION_SECONDS:
            raise DeploymentTimedOut(
                f"Endpoint {endpoint} is still there {waited:.0f} s after its deletion.",
                fix="Run the same command again.",
            )
        aws.sleep(pause_seconds(waited))


def _record(
    release: Release,
    env: Environment,
    aws: Aws,
    plan: Plan,
    proved: int,
    in_service_at: float,
    bake: Gate | None,
) -> DeployResult:
    """Keep the deployment in S3, once; a repeated deploy of what is live keeps the first record."""
    last = last_deployment(aws, env.name)
    if last is None or last.config != plan.config:
        last = DeploymentRecord(
            environment=env.name,
            endpoint=env.endpoint.name,
            release=release.id,
            config=plan.config,
            in_service_at=in_service_at,
            run_url=release.run_url,
            deployed_by_run=github_run_url(),
            by=who(os.environ),
            strategy=_strategy(env, aws),
        )
        record_deployment(aws, last)
    return DeployResult(
        release=release.id,
        config=plan.config,
        endpoint=env.endpoint.name,
        instances_proved=proved,
        in_service_at=last.in_service_at,
        bake=bake,
        strategy=last.strategy,
    )


def _strategy(env: Environment, aws: Aws) -> Strategy | None:
    """Ask AWS how the traffic was moved, also by a run that was killed before it wrote this down."""
    described = aws.describe_endpoint(env.endpoint.name) or {}
    return strategy_of(described.get("LastDeploymentConfig"))
