"""Scale the live fleet: bounds and policies from the config, target from the measured capacity; put, then
read back.
"""

import time
from collections.abc import Iterator

from pydantic import Field

from pipeline.autoscaling.acting import why_it_cannot_act
from pipeline.autoscaling.in_force import Scaling, describe, observe_scaling, plan_autoscaling
from pipeline.autoscaling.targets import (
    Measured,
    wanted_target,
    what_is_waited_for,
    with_measured_concurrency,
)
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.errors import PolicyCannotAct, PolicyNotInForce
from pipeline.model import Model
from pipeline.state.records import Say, last_deployment

READ_BACK_SECONDS = 30.0
PASSES = 2  # step policies first: their alarms need the ARNs
PROMISED_SECONDS = 60.0  # from InService to a policy in force


class AutoscaleResult(Model):
    """What was read back from AWS. `target`: invocations per instance and minute, None without that policy;
    `concurrency_target`: concurrent requests per instance, likewise.
    `policies`: all that are in force, by name, and what they do.
    """

    min: int
    max: int
    target: float | None
    concurrency_target: float | None = None
    policy_in_force_at: float | None  # epoch seconds
    seconds_from_in_service: float | None
    reason: str
    policies: dict[str, str] = Field(default_factory=dict)


def autoscale(env: Environment, aws: Aws, measured: Measured | None, say: Say = print) -> AutoscaleResult:
    """Put bounds and policies in force on the live fleet and return what was read back.

    The caller has made sure that the release is live. Raises PolicyCannotAct before anything is put, and
    PolicyNotInForce when AWS does not have afterwards what was put.
    """
    waits = what_is_waited_for(env, measured)
    target, env = wanted_target(env, measured), with_measured_concurrency(env, measured)
    require_acting(env, target, aws)
    before = len(aws.made)
    for _ in range(PASSES if env.autoscaling.steps else 1):
        for call in plan_autoscaling(env, target, observe_scaling(env, aws)):
            say(call.says)
            aws.apply(call)
    scaling = _read_back(env, target, aws)
    result = _result(env, waits, scaling, aws, changed=len(aws.made) > before)
    say(result.reason)
    return result


def is_known(env: Environment, aws: Aws, namespace: str, metric: str) -> bool:
    """Say whether CloudWatch has such a metric of this endpoint."""
    dimensions = {"EndpointName": env.endpoint.name, "VariantName": env.endpoint.variant}
    filters = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    which = {"Namespace": namespace, "MetricName": metric, "Dimensions": filters}
    return any(aws.pages("cloudwatch", "list_metrics", "Metrics", **which))


def require_acting(env: Environment, target: float | None, aws: Aws) -> None:
    """Raises PolicyCannotAct naming every policy that AWS would take, and that could never act."""
    wrong = [*why_it_cannot_act(env, target, lambda *metric: is_known(env, aws, *metric))]
    if wrong:
        raise PolicyCannotAct(
            f"{env.endpoint.name}: {'; '.join(wrong)}.",
            fix=f"Correct autoscaling in config/{env.name}.yaml, or measure the capacity on larger instances.",
        )


def _read_back(env: Environment, target: float | None, aws: Aws) -> Scaling:
    """Return what AWS has once it is what is wanted, the alarms of target tracking included."""
    deadline = time.monotonic() + READ_BACK_SECONDS
    while True:
        scaling = observe_scaling(env, aws)
        missing = [call.says for call in plan_autoscaling(env, target, scaling)]
        missing += [f"the alarms of {name} are not there" for name in _unwatched(scaling, aws)]
        if not missing:
            return scaling
        if time.monotonic() > deadline:
            raise PolicyNotInForce(
                f"{READ_BACK_SECONDS:.0f} s after it was asked for, AWS does not have it: {', '.join(missing)}.",
                fix="Run the step again; if it stays so, compare `aws application-autoscaling "
                "describe-scaling-policies --service-namespace sagemaker` with config/.",
            )
        aws.sleep(0.5)


def _unwatched(scaling: Scaling, aws: Aws) -> Iterator[str]:
    """Name the target tracking policies whose alarms, which AWS makes, cannot be seen."""
    for name, policy in scaling.policies.items():
        alarms = [each["AlarmName"] for each in policy.get("Alarms", [])]
        if policy["PolicyType"] == "TargetTrackingScaling" and (
            not alarms or len(aws.alarms(names=alarms)) < len(alarms)
        ):
            yield name


def _result(
    env: Environment, waits: str | None, scaling: Scaling, aws: Aws, *, changed: bool
) -> AutoscaleResult:
    at = since = None
    if scaling.policies:
        newest = max(policy["CreationTime"].timestamp() for policy in scaling.policies.values())
        at = time.time() if changed else newest
        deployed = last_deployment(aws, env.name)
        since = round(max(0.0, at - deployed.in_service_at), 1) if deployed else None
    least, most = scaling.bounds or (env.autoscaling.min_instances, env.autoscaling.max_instances)
    return AutoscaleResult(
        min=least,
        max=most,
        target=scaling.target_of("invocations"),
        concurrency_target=scaling.target_of("concurrency"),
        policy_in_force_at=at,
        seconds_from_in_service=since,
        reason=_reason(env, waits, scaling, since),
        policies={name: describe(policy) for name, policy in scaling.policies.items()},
    )


def _reason(env: Environment, waits: str | None, scaling: Scaling, since: float | None) -> str:
    least, most = scaling.bounds or (env.autoscaling.min_instances, env.autoscaling.max_instances)
    parts = [f"{env.endpoint.name}: {least} to {most} instances"]
    if scaling.policies:
        parts[0] += f" at {', '.join(describe(policy) for policy in scaling.policies.values())}"
    if scaling.actions:
        parts.append(f"bounds by the clock: {', '.join(scaling.actions)}")
    if waits is not None:
        is_kept = all(scaling.target_of(kind) is not None for kind in _measured_kinds(env))
        what = "its target is kept from before" if is_kept else "policy waits for a measured capacity"
        parts.append(f"{what}: {waits}")
    if since is not None:
        kept = "within" if since <= PROMISED_SECONDS else "later than"
        parts.append(f"in force {since:g} s after InService, {kept} the {PROMISED_SECONDS:g} s promised")
    return "; ".join(parts)


def _measured_kinds(env: Environment) -> Iterator[str]:
    """The policies whose targets are still to be measured, by the end of their names."""
    if env.autoscaling.target == "measured":
        yield "invocations"
    if env.autoscaling.concurrency_target == "measured":
        yield "concurrency"
