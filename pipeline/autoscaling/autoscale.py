"""Put bounds and policies in force on the live fleet, and read them back.

Bounds and policies come from the config, a measured target from the capacity of one instance.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field

from pipeline.autoscaling.plan import Scaling, describe, observe_scaling, plan_autoscaling
from pipeline.autoscaling.policy_checks import ineffective_policies
from pipeline.autoscaling.targets import (
    MeasuredCapacity,
    missing_measurement,
    wanted_target,
    with_measured_concurrency,
)
from pipeline.aws import AwsClient
from pipeline.aws.cloudwatch import dimensions
from pipeline.aws.waiting import wait_until
from pipeline.config import Environment
from pipeline.errors import PolicyCannotAct, PolicyNotInForce
from pipeline.model import Model
from pipeline.run import Run
from pipeline.state.records import last_deployment

log = logging.getLogger(__name__)

READ_BACK_SECONDS = 30.0
PASSES = 2  # step policies first: their alarms need the ARNs
PROMISED_SECONDS = 60.0  # from InService to a policy in force


class AutoscaleResult(Model):
    """The scaling that was read back from AWS.

    `target`: invocations per instance and minute, None without that policy; `concurrency_target`: concurrent
    requests per instance, likewise. `policies`: descriptions of all that are in force, by name.
    """

    min: int
    max: int
    target: float | None
    concurrency_target: float | None = None
    policy_in_force_at: float | None  # epoch seconds
    seconds_from_in_service: float | None
    reason: str
    policies: dict[str, str] = Field(default_factory=dict)


def autoscale(run: Run, measured: MeasuredCapacity | None) -> AutoscaleResult:
    """Put bounds and policies in force on the live fleet and return what was read back.

    The caller has made sure that the release is live. Raises PolicyCannotAct before any call, and
    PolicyNotInForce when AWS does not return the policies afterwards.
    """
    waits = missing_measurement(run.env, measured)
    target = wanted_target(run.env, measured)
    run = replace(run, env=with_measured_concurrency(run.env, measured))
    require_acting(run, target)
    before = len(run.aws.made)
    for _ in range(PASSES if run.env.autoscaling.steps else 1):
        run.apply(plan_autoscaling(run.env, target, observe_scaling(run)))
    scaling = _read_back(run, target)
    result = _result(run, waits, scaling, changed=len(run.aws.made) > before)
    log.info(result.reason)
    return result


def is_known(run: Run, namespace: str, metric: str) -> bool:
    """Say whether CloudWatch has such a metric of this endpoint."""
    endpoint = run.env.endpoint
    watched = dimensions({"EndpointName": endpoint.name, "VariantName": endpoint.variant})
    which = {"Namespace": namespace, "MetricName": metric, "Dimensions": watched}
    return any(run.aws.pages("cloudwatch", "list_metrics", "Metrics", **which))


def require_acting(run: Run, target: float | None) -> None:
    """Return when every policy can act. Raises PolicyCannotAct naming those that AWS accepts and that never act."""
    wrong = [*ineffective_policies(run.env, target, lambda *metric: is_known(run, *metric))]
    if wrong:
        raise PolicyCannotAct(
            f"{run.env.endpoint.name}: {'; '.join(wrong)}.",
            fix=f"Correct autoscaling in config/{run.env.name}.yaml, or measure the capacity on larger instances.",
        )


def _read_back(run: Run, target: float | None) -> Scaling:
    """Return the scaling that AWS has once it is the wanted one, the alarms of target tracking included."""

    def look() -> tuple[Scaling, list[str]]:
        scaling = observe_scaling(run)
        missing = [call.says for call in plan_autoscaling(run.env, target, scaling)]
        missing += [f"the alarms of {name} are not there" for name in _unwatched(scaling, run.aws)]
        return scaling, missing

    scaling, _ = wait_until(
        look,
        lambda seen: not seen[1],
        READ_BACK_SECONDS,
        run.clock,
        timed_out=lambda seen, _: PolicyNotInForce(
            f"{READ_BACK_SECONDS:.0f} s after it was asked for, AWS does not have it: {', '.join(seen[1])}.",
            fix="Run the step again; if it stays so, compare `aws application-autoscaling "
            "describe-scaling-policies --service-namespace sagemaker` with config/.",
        ),
        pause=lambda _: 0.5,
    )
    return scaling


def _unwatched(scaling: Scaling, aws: AwsClient) -> Iterator[str]:
    """Name the target tracking policies whose alarms AWS has not made yet."""
    for name, policy in scaling.policies.items():
        alarms = [each["AlarmName"] for each in policy.get("Alarms", [])]
        if policy["PolicyType"] == "TargetTrackingScaling" and (
            not alarms or len(aws.alarms(names=alarms)) < len(alarms)
        ):
            yield name


def _result(run: Run, waits: str | None, scaling: Scaling, *, changed: bool) -> AutoscaleResult:
    at = since = None
    if scaling.policies:
        newest = max(policy["CreationTime"].timestamp() for policy in scaling.policies.values())
        at = run.clock.now() if changed else newest
        deployed = last_deployment(run.aws, run.env.name)
        since = round(max(0.0, at - deployed.in_service_at), 1) if deployed else None
    least, most = scaling.bounds or (run.env.autoscaling.min_instances, run.env.autoscaling.max_instances)
    return AutoscaleResult(
        min=least,
        max=most,
        target=scaling.target_of("invocations"),
        concurrency_target=scaling.target_of("concurrency"),
        policy_in_force_at=at,
        seconds_from_in_service=since,
        reason=_reason(run.env, waits, scaling, since),
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
    """Yield the policies whose targets are still to be measured, by the end of their names."""
    if env.autoscaling.target == "measured":
        yield "invocations"
    if env.autoscaling.concurrency_target == "measured":
        yield "concurrency"
