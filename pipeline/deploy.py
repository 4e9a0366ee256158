"""Put a release on an environment's endpoint: observe, plan, apply, wait until it is live, prove it."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.alarms import alarm_prefix, alarms_of
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.difference import Live
from pipeline.errors import AlarmNotQuiet, DeploymentTimedOut
from pipeline.live import PROOF_SECONDS, Waiter, pause_seconds
from pipeline.model import Model
from pipeline.plan import Observed, Plan, config_name, config_parameters, model_parameters, plan_deployment
from pipeline.records import DeploymentRecord, Say, last_deployment, record_deployment
from pipeline.release import Release
from pipeline.rescale import Scaled, observe_scaled, put_back, scaling_set_aside
from pipeline.weights import fetch_golden, golden_payload

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


def observe(release: Release, env: Environment, aws: Aws) -> Observed:
    """Read what AWS has of everything that this deployment needs."""
    endpoint = aws.describe_endpoint(env.endpoint.name) or {}
    model = model_parameters(release, env)["ModelName"]
    config = config_parameters(release, env)["EndpointConfigName"]
    return Observed(
        status=endpoint.get("EndpointStatus"),
        live_config=endpoint.get("EndpointConfigName"),
        pending_config=(endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName"),
        has_model=aws.find("sagemaker", "describe_model", ModelName=model) is not None,
        has_config=aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) is not None,
        alarms={alarm["AlarmName"]: alarm for alarm in aws.alarms(prefix=alarm_prefix(env))},
        scaled_on_other_type=_scaled_on_other_type(env, aws, endpoint.get("EndpointConfigName")),
    )


def _scaled_on_other_type(env: Environment, aws: Aws, live: str | None) -> Scaled | None:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=live) if live else None
    types = {each.get("InstanceType") for each in (found or {}).get("ProductionVariants", [])}
    return observe_scaled(env, aws) if types - {env.endpoint.instance_type} else None


def observe_live(env: Environment, aws: Aws) -> Live:
    """Read what serves now: the endpoint, its config and its model."""
    endpoint = aws.describe_endpoint(env.endpoint.name) or {}
    name = endpoint.get("EndpointConfigName")
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) if name else None
    variants = (found or {}).get("ProductionVariants", [])
    model = variants[0].get("ModelName") if variants else None
    described = aws.find("sagemaker", "describe_model", ModelName=model) if model else None
    return Live(endpoint=endpoint, config=found or {}, model=described or {})


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
    proof_seconds: float = PROOF_SECONDS,
) -> DeployResult:
    """Put `release` on the endpoint of `env` and return when it is live.

    Raises DeploymentRolledBack when SageMaker put the old release back, DeploymentFailed,
    DeploymentTimedOut, ReleaseUnproved, EndpointBusy or AlarmNotQuiet.
    """
    payload = golden_payload(fetch_golden(release, aws, build))
    observed = observe(release, env, aws)
    plan = plan_deployment(release, env, observed)
    if not plan.calls and not plan.is_resumed:
        say(f"{release.id} is already live on {env.endpoint.name}: no calls planned")
    _apply_preparation(plan, env, aws, say)
    waiter = Waiter(
        aws=aws,
        endpoint=env.endpoint.name,
        config=plan.config,
        release=release.id,
        payload=payload,
        alarm_prefix=f"{alarm_prefix(env)}{plan.config}/",
        say=say,
        sleep=aws.sleep,
        proof_seconds=proof_seconds,
    )
    if plan.shift or plan.is_resumed:
        _shift_and_wait(plan, env, aws, waiter, say)
    else:
        put_back(env, aws, say)
    in_service_at = time.time()
    proved = waiter.prove()
    say(f"{proved} instances of {env.endpoint.name} answer with release {release.id}")
    for call in plan.clean:
        say(call.says)
        aws.apply(call)
    return _record(release, env, aws, plan, proved, in_service_at)


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
    with scaling_set_aside(plan.set_aside, env, aws, say):
        if plan.shift:
            say(plan.shift.says)
            aws.apply(plan.shift)
        else:
            say(f"{plan.config} is on its way already: waiting for it")
        waiter.until_in_service(bound_seconds(env, operation), had_traffic=operation == "update_endpoint")


def require_quiet_alarms(
    env: Environment, config: str, aws: AlarmDoor, clock: Callable[[], float] = time.monotonic
) -> None:
    """Return once every alarm of the new fleet exists and none is in ALARM, as it may be after an
    earlier attempt with the same release. Raises AlarmNotQuiet after two of its periods."""
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
    release: Release, env: Environment, aws: Aws, plan: Plan, proved: int, in_service_at: float
) -> DeployResult:
    """Keep the deployment in S3, once; a repeated deploy of what is live keeps the first record."""
    last = last_deployment(aws, env.name)
    if last is None or last.config != config_name(release, env):
        last = DeploymentRecord(
            environment=env.name,
            endpoint=env.endpoint.name,
            release=release.id,
            config=plan.config,
            in_service_at=in_service_at,
            run_url=release.run_url,
        )
        record_deployment(aws, last)
    return DeployResult(
        release=release.id,
        config=plan.config,
        endpoint=env.endpoint.name,
        instances_proved=proved,
        in_service_at=last.in_service_at,
    )
