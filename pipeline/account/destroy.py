"""Delete the resources of one environment; shared resources and evidence stay."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.autoscaling.plan import observe_scaling
from pipeline.autoscaling.policies import resource, step_alarm_prefix
from pipeline.autoscaling.saved_scaling import saved_scaling_key
from pipeline.aws.calls import Call
from pipeline.config import BASELINE_SUFFIX, CAPACITY_SUFFIX, Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.deploy import wait_until_gone
from pipeline.deployment.plan import CHANGEABLE
from pipeline.errors import ConfigError, EndpointBusy
from pipeline.model import Model
from pipeline.names import prefix_of
from pipeline.run import Run
from pipeline.state.rollback_intent import intent_key

log = logging.getLogger(__name__)

ALARMS_AT_ONCE = 100  # DeleteAlarms takes no more


class DestroyResult(Model):
    """The number of calls that were made; 0: the environment had no resources."""

    environment: str
    made: int


@dataclass(frozen=True)
class EnvironmentResources:
    """The resources of one environment, by name. `endpoints`: with their statuses."""

    endpoints: tuple[tuple[str, str], ...] = ()
    is_scaled: bool = False
    configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def observe_resources(run: Run) -> EnvironmentResources:
    """List the resources named for this environment's endpoint, or for its measuring endpoints."""
    name = run.env.endpoint.name
    described = [run.aws.describe_endpoint(each) for each in _owners(run.env)]
    configs = run.aws.pages("sagemaker", "list_endpoint_configs", "EndpointConfigs", NameContains=name)
    models = run.aws.pages("sagemaker", "list_models", "Models", NameContains=name)
    begun = [
        key for key in (saved_scaling_key(run.env), intent_key(run.env)) if run.aws.get_json(key) is not None
    ]
    return EnvironmentResources(
        endpoints=tuple((each["EndpointName"], each["EndpointStatus"]) for each in described if each),
        is_scaled=observe_scaling(run).target is not None,
        configs=_ours(run.env, [each["EndpointConfigName"] for each in configs]),
        models=_ours(run.env, [each["ModelName"] for each in models]),
        alarms=tuple(
            alarm["AlarmName"]
            for prefix in (alarm_prefix(run.env), step_alarm_prefix(run.env))
            for alarm in run.aws.alarms(prefix=prefix)
        ),
        keys=(*run.aws.keys(f"deployments/{run.env.name}/"), *begun),
    )


def _owners(env: Environment) -> tuple[str, ...]:
    return tuple(f"{env.endpoint.name}{suffix}" for suffix in ("", CAPACITY_SUFFIX, BASELINE_SUFFIX))


def _ours(env: Environment, names: Sequence[str]) -> tuple[str, ...]:
    """Keep the names that derive from this environment's: another environment's may begin with it."""
    return tuple(sorted(name for name in names if prefix_of(name) in _owners(env)))


def plan_destruction(env: Environment, found: EnvironmentResources) -> tuple[Call, ...]:
    """List the deletions, endpoints first. Raises EndpointBusy while an endpoint is changing."""
    busy = [
        f"{name} is {status}" for name, status in found.endpoints if status not in CHANGEABLE | {"Failed"}
    ]
    if busy:
        raise EndpointBusy(f"{', '.join(busy)}.", fix="Wait until it is InService, then run this again.")
    bucket = env.aws.bucket
    calls = []
    if found.is_scaled:
        says = f"deregister {env.endpoint.name} from scaling"
        calls.append(Call("application-autoscaling", "deregister_scalable_target", resource(env), says))
    for operation, member, names in (
        ("delete_endpoint", "EndpointName", [name for name, _ in found.endpoints]),
        ("delete_endpoint_config", "EndpointConfigName", found.configs),
        ("delete_model", "ModelName", found.models),
    ):
        says = operation.replace("_", " ")
        calls += [Call("sagemaker", operation, {member: name}, f"{says} {name}") for name in names]
    for start in range(0, len(found.alarms), ALARMS_AT_ONCE):
        alarms = list(found.alarms[start : start + ALARMS_AT_ONCE])
        calls.append(
            Call("cloudwatch", "delete_alarms", {"AlarmNames": alarms}, f"delete {len(alarms)} alarms")
        )
    for key in found.keys:
        params = {"Bucket": bucket, "Key": key}
        calls.append(Call("s3", "delete_object", params, f"delete s3://{bucket}/{key}"))
    return tuple(calls)


def destroy(run: Run, *, confirmed: str | None = None, ask: Callable[[], str] | None = None) -> DestroyResult:
    """Log the planned deletions, have the environment's name typed (or given as `confirmed`), and delete.

    Raises ConfigError when another name, or none, was typed; nothing is deleted then.
    """
    calls = plan_destruction(run.env, observe_resources(run))
    for call in calls:
        log.info(f"- {call.says}")
    if not calls:
        log.info(f"{run.env.name} has nothing: no calls planned")
        return DestroyResult(environment=run.env.name, made=0)
    typed = confirmed if confirmed is not None else (ask or _ask)()
    if typed != run.env.name:
        raise ConfigError(
            f"Nothing was deleted: '{typed}' is not {run.env.name}.",
            fix=f"Type the environment's name when asked, or give --confirm {run.env.name}.",
        )
    for call in calls:
        run.aws.apply(call)
        if call.operation == "delete_endpoint":
            wait_until_gone(str(call.params["EndpointName"]), run.aws)
    log.info(f"{run.env.name} is gone; bucket, repository, role, releases and evidence are still there")
    return DestroyResult(environment=run.env.name, made=len(calls))


def _ask() -> str:
    """Read a line from the terminal; empty without one."""
    return input("Type the environment's name to delete this: ").strip() if sys.stdin.isatty() else ""
