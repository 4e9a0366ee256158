"""The scaling that AWS has, and the calls that bring it to the config's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.autoscaling.policies import (
    DIMENSION,
    NAMESPACE,
    policies_of,
    policy_name,
    resource,
    scheduled_actions_of,
    step_alarm_prefix,
    step_alarms_of,
)
from pipeline.aws.calls import Call
from pipeline.aws.drift import contains
from pipeline.config import Environment
from pipeline.run import Run

SERVICE = "application-autoscaling"
Described = Mapping[str, Any]


@dataclass(frozen=True)
class Scaling:
    """The scaling that AWS has: the scalable target, and by name policies, scheduled actions and step alarms.

    `target` None: the variant is not registered. `alarms`: those of ours that start step policies.
    """

    target: Described | None
    policies: Mapping[str, Described] = field(default_factory=dict)
    actions: Mapping[str, Described] = field(default_factory=dict)
    alarms: Mapping[str, Described] = field(default_factory=dict)

    def target_of(self, kind: str) -> float | None:
        """Return the target of our policy on `invocations`, or `concurrency`, per instance; None: there is none."""
        policy = next((each for name, each in self.policies.items() if name.endswith(f"-{kind}")), {})
        target: float | None = policy.get("TargetTrackingScalingPolicyConfiguration", {}).get("TargetValue")
        return target

    @property
    def bounds(self) -> tuple[int, int] | None:
        return (self.target["MinCapacity"], self.target["MaxCapacity"]) if self.target else None


def observe_scaling(run: Run) -> Scaling:
    """Read the scalable target with its policies, scheduled actions and alarms."""
    where = resource(run.env)
    targets = run.aws.read(
        SERVICE,
        "describe_scalable_targets",
        ServiceNamespace=NAMESPACE,
        ResourceIds=[where["ResourceId"]],
        ScalableDimension=DIMENSION,
    )["ScalableTargets"]
    policies = run.aws.pages(SERVICE, "describe_scaling_policies", "ScalingPolicies", **where)
    actions = run.aws.pages(SERVICE, "describe_scheduled_actions", "ScheduledActions", **where)
    return Scaling(
        target=targets[0] if targets else None,
        policies={each["PolicyName"]: each for each in policies},
        actions={each["ScheduledActionName"]: each for each in actions},
        alarms={each["AlarmName"]: each for each in run.aws.alarms(prefix=step_alarm_prefix(run.env))},
    )


def plan_autoscaling(env: Environment, target: float | None, observed: Scaling) -> tuple[Call, ...]:
    """List the calls that bring bounds, policies and schedule to the config's; none when they match.

    Without a target the policy that follows it stays unchanged. The alarm of a step policy is in the next plan,
    once AWS has given that policy its ARN. Policies, actions and alarms of ours that the config lacks are deleted.
    """
    return (
        *_plan_bounds(env, observed),
        *_plan_policies(env, target, observed),
        *_plan_actions(env, observed),
        *_plan_alarms(env, observed),
    )


def _plan_bounds(env: Environment, observed: Scaling) -> Iterator[Call]:
    """Plan the bounds, unless they are the config's or those of a scheduled action."""
    least, most = env.autoscaling.min_instances, env.autoscaling.max_instances
    by_clock = {
        (each.min_instances or least, each.max_instances or most) for each in env.autoscaling.schedule
    }
    if observed.bounds not in {(least, most), *by_clock}:
        says = f"let {env.endpoint.name} have {least} to {most} instances"
        params = {**resource(env), "MinCapacity": least, "MaxCapacity": most}
        yield Call(SERVICE, "register_scalable_target", params, says)


def _plan_policies(env: Environment, target: float | None, observed: Scaling) -> Iterator[Call]:
    wanted = policies_of(env, target)
    for policy in wanted:
        name = policy["PolicyName"]
        if not contains(policy, observed.policies.get(name)):
            yield Call(
                SERVICE, "put_scaling_policy", policy, f"put scaling policy {name}: {describe(policy)}"
            )
    kept = {policy["PolicyName"] for policy in wanted}
    measured = {
        "invocations": env.autoscaling.target,
        "concurrency": env.autoscaling.concurrency_target,
    }
    kept |= {  # an older target is better than none
        policy_name(env, kind) for kind, target in measured.items() if target == "measured"
    }
    for name in _stale(env, observed.policies, kept):
        params = {**resource(env), "PolicyName": name}
        yield Call(SERVICE, "delete_scaling_policy", params, f"delete scaling policy {name}")


def _plan_actions(env: Environment, observed: Scaling) -> Iterator[Call]:
    wanted = scheduled_actions_of(env)
    for action in wanted:
        name = action["ScheduledActionName"]
        if not contains(action, observed.actions.get(name)):
            says = f"put scheduled action {name}: {action['Schedule']}"
            yield Call(SERVICE, "put_scheduled_action", action, says)
    for name in _stale(env, observed.actions, {action["ScheduledActionName"] for action in wanted}):
        params = {**resource(env), "ScheduledActionName": name}
        yield Call(SERVICE, "delete_scheduled_action", params, f"delete scheduled action {name}")


def _plan_alarms(env: Environment, observed: Scaling) -> Iterator[Call]:
    arns = {name: policy["PolicyARN"] for name, policy in observed.policies.items() if "PolicyARN" in policy}
    names = {policy_name(env, each.name) for each in env.autoscaling.steps}
    if names <= set(arns):
        for alarm in step_alarms_of(env, arns):
            if not contains(alarm, observed.alarms.get(alarm["AlarmName"])):
                yield Call("cloudwatch", "put_metric_alarm", alarm, f"put alarm {alarm['AlarmName']}")
    wanted = {f"{step_alarm_prefix(env)}{each.name}" for each in env.autoscaling.steps}
    stale = sorted(set(observed.alarms) - wanted)
    if stale:
        says = f"delete {len(stale)} alarms of deleted step policies"
        yield Call("cloudwatch", "delete_alarms", {"AlarmNames": stale}, says)


def _stale(env: Environment, there: Mapping[str, Described], wanted: set[str]) -> Sequence[str]:
    """Return the names with our prefix that are not wanted; others belong to somebody else."""
    return sorted(name for name in there if name.startswith(policy_name(env, "")) and name not in wanted)


def describe(policy: Described) -> str:
    """Describe a policy in a few words."""
    tracked = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracked is None:
        return f"{len(policy['StepScalingPolicyConfiguration']['StepAdjustments'])} steps"
    metric = tracked["PredefinedMetricSpecification"]["PredefinedMetricType"]
    per_minute = "invocations per instance and minute"
    unit = per_minute if "Invocations" in metric else "concurrent requests per instance"
    return f"{tracked['TargetValue']:g} {unit}"
