"""Scale the live fleet: bounds from the config, target from the measured capacity; put, then read back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.aws import Aws
from pipeline.calls import Call
from pipeline.config import Environment
from pipeline.drift import holds
from pipeline.errors import PolicyNotInForce, ReleaseError
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.policies import DIMENSION, NAMESPACE, invocations_policy, resource
from pipeline.records import Say, last_deployment
from pipeline.release import Release

READ_BACK_SECONDS = 30.0


class AutoscaleResult(Model):
    """What was read back from AWS. `target`: invocations per instance and minute, None without a policy."""

    min: int
    max: int
    target: float | None
    policy_in_force_at: float | None  # epoch seconds
    seconds_from_in_service: float | None
    reason: str


@dataclass(frozen=True)
class Scaling:
    """What AWS has: the scalable target and our policy, as described; None where there is none."""

    target: Mapping[str, Any] | None
    policy: Mapping[str, Any] | None


def wanted_target(env: Environment, capacity_rps: float | None) -> float | None:
    """Invocations per instance and minute: AWS's advice is capacity × safety factor × 60."""
    if env.autoscaling.target != "measured":
        return env.autoscaling.target
    if capacity_rps is None:
        return None
    return round(capacity_rps * env.autoscaling.safety_factor * 60, 2)


def plan_autoscaling(env: Environment, target: float | None, observed: Scaling) -> tuple[Call, ...]:
    """List the calls that bring bounds and policy to what is wanted; none when they are so already.

    Without a target the bounds are registered only, and a policy that is there is left as it is.
    """
    calls = []
    bounds = {"MinCapacity": env.autoscaling.min_instances, "MaxCapacity": env.autoscaling.max_instances}
    if not holds(bounds, observed.target):
        says = f"let {env.endpoint.name} have {bounds['MinCapacity']} to {bounds['MaxCapacity']} instances"
        params = {**resource(env), **bounds}
        calls.append(Call("application-autoscaling", "register_scalable_target", params, says))
    if target is not None:
        wanted = invocations_policy(env, target)
        if not holds(wanted, observed.policy):
            says = f"hold {env.endpoint.name} at {target:g} invocations per instance and minute"
            calls.append(Call("application-autoscaling", "put_scaling_policy", wanted, says))
    return tuple(calls)


def autoscale(
    release: Release, env: Environment, aws: Aws, capacity_rps: float | None, say: Say = print
) -> AutoscaleResult:
    """Put bounds and policy in force on the live fleet and return what was read back.

    Raises ReleaseError when another release is live, PolicyNotInForce when AWS does not have afterwards
    what was put.
    """
    _require_live(release, env, aws)
    target = wanted_target(env, capacity_rps)
    calls = plan_autoscaling(env, target, observe_scaling(env, aws))
    for call in calls:
        say(call.says)
        aws.apply(call)
    scaling = _read_back(env, target, aws)
    result = _result(env, target, scaling, aws, changed=bool(calls))
    say(result.reason)
    return result


def observe_scaling(env: Environment, aws: Aws) -> Scaling:
    """Read the scalable target and our policy."""
    where = resource(env)
    targets = aws.read(
        "application-autoscaling",
        "describe_scalable_targets",
        ServiceNamespace=NAMESPACE,
        ResourceIds=[where["ResourceId"]],
        ScalableDimension=DIMENSION,
    )["ScalableTargets"]
    policies = aws.read("application-autoscaling", "describe_scaling_policies", **where)["ScalingPolicies"]
    ours = [each for each in policies if each["PolicyName"] == f"{env.endpoint.name}-invocations"]
    return Scaling(targets[0] if targets else None, ours[0] if ours else None)


def _require_live(release: Release, env: Environment, aws: Aws) -> None:
    described = aws.describe_endpoint(env.endpoint.name)
    live = described and release_of(described["EndpointConfigName"])
    if described is None or described["EndpointStatus"] != "InService" or live != release.id:
        status = described["EndpointStatus"] if described else "not there"
        raise ReleaseError(
            f"Release {release.id} is not live on {env.endpoint.name}: it is {status}, on {live or 'nothing'}.",
            fix=f"Run `python -m pipeline deploy --env {env.name}` first.",
        )


def _read_back(env: Environment, target: float | None, aws: Aws) -> Scaling:
    """Return what AWS has once it is what is wanted, the policy's alarms included."""
    deadline = time.monotonic() + READ_BACK_SECONDS
    while True:
        scaling = observe_scaling(env, aws)
        missing = plan_autoscaling(env, target, scaling)
        alarms = [each["AlarmName"] for each in (scaling.policy or {}).get("Alarms", [])]
        is_watched = target is None or (alarms and len(aws.alarms(names=alarms)) == len(alarms))
        if not missing and is_watched:
            return scaling
        if time.monotonic() > deadline:
            what = ", ".join(call.says for call in missing) or "the policy's alarms are not there"
            raise PolicyNotInForce(
                f"{READ_BACK_SECONDS:.0f} s after it was asked for, AWS does not have it: {what}.",
                fix="Run the step again; if it stays so, compare `aws application-autoscaling "
                "describe-scaling-policies --service-namespace sagemaker` with config/.",
            )
        aws.sleep(0.5)


def _result(
    env: Environment, target: float | None, scaling: Scaling, aws: Aws, *, changed: bool
) -> AutoscaleResult:
    at = since = None
    if scaling.policy is not None:
        at = time.time() if changed else scaling.policy["CreationTime"].timestamp()
        deployed = last_deployment(aws, env.name)
        since = round(max(0.0, at - deployed.in_service_at), 1) if deployed else None
    live_target = (
        (scaling.policy or {}).get("TargetTrackingScalingPolicyConfiguration", {}).get("TargetValue")
    )
    return AutoscaleResult(
        min=env.autoscaling.min_instances,
        max=env.autoscaling.max_instances,
        target=live_target,
        policy_in_force_at=at,
        seconds_from_in_service=since,
        reason=_reason(env, target, live_target, since),
    )


def _reason(env: Environment, target: float | None, live_target: float | None, since: float | None) -> str:
    bounds = (
        f"{env.endpoint.name}: {env.autoscaling.min_instances} to {env.autoscaling.max_instances} instances"
    )
    if live_target is None:
        return f"{bounds}; policy waits for a measured capacity"
    kept = "" if target is not None else " (kept from before: no capacity of this release is known yet)"
    when = "" if since is None else f", in force {since:g} s after InService"
    return f"{bounds} at {live_target:g} invocations per instance and minute{when}{kept}"
