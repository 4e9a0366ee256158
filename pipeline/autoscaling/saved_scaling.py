"""Save the scaling of an endpoint while its instance type changes, and restore it.

SageMaker refuses the change for a registered variant, and deregistering deletes policies and scheduled actions.
The scaling is written to S3 before it is deregistered, and deleted from there when it is in force again: the next
`deploy` restores the scaling of an interrupted run.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pipeline.autoscaling.plan import SERVICE, observe_scaling
from pipeline.autoscaling.policies import resource
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.errors import PipelineError
from pipeline.model import Model
from pipeline.run import Run

log = logging.getLogger(__name__)

# The fields that are restored; the others of a description are AWS's own (ARNs, times, alarms).
TARGET = ("MinCapacity", "MaxCapacity", "SuspendedState")
POLICY = (
    "PolicyName",
    "PolicyType",
    "TargetTrackingScalingPolicyConfiguration",
    "StepScalingPolicyConfiguration",
)
ACTION = ("ScheduledActionName", "Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")


class SavedScaling(Model):
    """A scalable target with its policies and scheduled actions, as parameters of the calls that restore them."""

    target: dict[str, Any]
    policies: tuple[dict[str, Any], ...] = ()
    actions: tuple[dict[str, Any], ...] = ()


def read_scaling(run: Run) -> SavedScaling | None:
    """Read the scaling that deregistering deletes; None when the variant is not registered."""
    scaling = observe_scaling(run)
    if scaling.target is None:
        return None
    return SavedScaling(
        target=_kept(scaling.target, TARGET),
        policies=tuple(_kept(each, POLICY) for each in scaling.policies.values()),
        actions=tuple(_kept(each, ACTION) for each in scaling.actions.values()),
    )


def _kept(described: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    found = {name: described[name] for name in names if name in described}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()
    }


def saved_scaling_key(env: Environment) -> str:
    """Return the key of an endpoint's saved scaling in the release bucket."""
    return f"scaling-set-aside/{env.endpoint.name}.json"


def plan_saving(env: Environment, scaled: SavedScaling) -> tuple[Call, ...]:
    """List the calls that save the scaling, then deregister it."""
    params = {
        "Bucket": env.aws.bucket,
        "Key": saved_scaling_key(env),
        "Body": json.dumps(scaled.document(), indent=2),
    }
    says = f"deregister {env.endpoint.name} from scaling while its instance type changes"
    return (
        Call(
            "s3",
            "put_object",
            params,
            f"write the scaling of {env.endpoint.name} down: {saved_scaling_key(env)}",
        ),
        Call(SERVICE, "deregister_scalable_target", resource(env), says),
    )


def plan_restoring(env: Environment, scaled: SavedScaling, there: SavedScaling | None) -> tuple[Call, ...]:
    """List the calls that restore the scaling that AWS does not have (`there`), then delete the saved copy.

    Policies and actions that were put meanwhile are newer, and are kept.
    """
    known = {each["PolicyName"] for each in there.policies} if there else set()
    planned = {each["ScheduledActionName"] for each in there.actions} if there else set()
    where, name = resource(env), env.endpoint.name
    bounds = f"{scaled.target['MinCapacity']} to {scaled.target['MaxCapacity']}"
    calls = []
    if there is None:
        says = f"let {name} have {bounds} instances again"
        calls.append(Call(SERVICE, "register_scalable_target", {**where, **scaled.target}, says))
    for policy in scaled.policies:
        if policy["PolicyName"] not in known:
            says = f"put scaling policy {policy['PolicyName']} back"
            calls.append(Call(SERVICE, "put_scaling_policy", {**where, **policy}, says))
    for action in scaled.actions:
        if action["ScheduledActionName"] not in planned:
            says = f"put scheduled action {action['ScheduledActionName']} back"
            calls.append(Call(SERVICE, "put_scheduled_action", {**where, **action}, says))
    forget = {"Bucket": env.aws.bucket, "Key": saved_scaling_key(env)}
    return (
        *calls,
        Call("s3", "delete_object", forget, f"forget {saved_scaling_key(env)}: it is in force again"),
    )


def restore_scaling(run: Run) -> None:
    """Restore the scaling that this run, or an interrupted one, has saved; do nothing when there is none."""
    written = run.aws.get_json(saved_scaling_key(run.env))
    if written is None:
        return
    run.apply(plan_restoring(run.env, SavedScaling.model_validate(written), read_scaling(run)))


@contextmanager
def scaling_saved(calls: Sequence[Call], run: Run) -> Iterator[None]:
    """Save the scaling by `calls` (none: leave it), and restore it whether or not the deployment succeeds."""
    try:
        run.apply(calls)
        yield
    except PipelineError:
        try:
            restore_scaling(run)
        except PipelineError as error:  # the deployment's own failure is the one to report
            log.warning(_not_restored(run.env, error, is_ours=bool(calls)))
        raise
    restore_scaling(run)


def _not_restored(env: Environment, error: PipelineError, *, is_ours: bool) -> str:
    """Return what is known of the scaling when it could not be restored. `is_ours`: this run was to save it."""
    name = env.endpoint.name
    if is_ours:
        return f"the scaling of {name} was not restored; the next deploy restores it: {error.what}"
    return (
        f"it could not be checked whether an earlier run has set the scaling of {name} aside; if so, the next deploy "
        f"restores it: {error.what}"
    )
