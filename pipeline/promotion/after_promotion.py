"""Keep, scale down or delete an environment's endpoint once its release was promoted.

The next `deploy` makes a deleted endpoint again; the next `autoscale` gives a small fleet its bounds back.
"""

import logging
from collections.abc import Sequence
from typing import Literal

from pipeline.autoscaling.plan import observe_scaling
from pipeline.autoscaling.policies import resource, step_alarm_prefix
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.plan import CHANGEABLE
from pipeline.errors import EnvironmentLocked
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.lock import environment_lock

log = logging.getLogger(__name__)


class AfterPromotionResult(Model):
    """The action that the config asks for, and the calls that it took."""

    release: str
    action: Literal["keep", "scale_down", "delete"]
    calls: tuple[str, ...] = ()
    left_because: str | None = None  # the reason why the environment stays as it is all the same


def plan_after_promotion(
    env: Environment, *, is_there: bool, bounds: tuple[int, int] | None, alarms: Sequence[str]
) -> tuple[Call, ...]:
    """List the calls of the config's `after_promotion`. `bounds`: of the scalable target, None: not registered."""
    name, after = env.endpoint.name, env.after_promotion
    if after.action == "keep" or not is_there:
        return ()
    if after.action == "scale_down":
        wanted = {"MinCapacity": after.instances, "MaxCapacity": after.instances}
        if bounds == (after.instances, after.instances):
            return ()
        says = f"scale {name} down to {after.instances} instances until the next deployment"
        params = {**resource(env), **wanted}
        return (Call("application-autoscaling", "register_scalable_target", params, says),)
    calls = []
    if bounds is not None:
        says = f"deregister {name} from scaling"
        calls.append(Call("application-autoscaling", "deregister_scalable_target", resource(env), says))
    says = f"delete endpoint {name} until the next deployment"
    calls.append(Call("sagemaker", "delete_endpoint", {"EndpointName": name}, says))
    if alarms:
        says = f"delete the {len(alarms)} alarms of {name}"
        calls.append(Call("cloudwatch", "delete_alarms", {"AlarmNames": [*alarms]}, says))
    return tuple(calls)


def after_promotion(release: Release, run: Run) -> AfterPromotionResult:
    """Apply the config's `after_promotion` to the environment that `release` was promoted from.

    Makes no call where it is in effect. While another run uses the environment, its endpoint is changing, or it
    serves another release by now, it stays unchanged, and the result says why: the promotion has succeeded.
    """
    result = AfterPromotionResult(release=release.id, action=run.env.after_promotion.action)
    if result.action == "keep":
        return result
    try:
        with environment_lock(run, "after-promotion"):
            reason, calls = _apply(release, run)
    except EnvironmentLocked as error:
        reason, calls = error.what, ()
    if reason:
        log.info(f"{run.env.name} stays as it is: {reason}")
    return result.model_copy(update={"calls": calls, "left_because": reason})


def _apply(release: Release, run: Run) -> tuple[str | None, tuple[str, ...]]:
    """Make the calls and return (None, their sentences), or (why none was made, nothing)."""
    name = run.env.endpoint.name
    described = run.aws.describe_endpoint(name)
    if described is not None:
        live = release_of(described["EndpointConfigName"])
        if described["EndpointStatus"] not in CHANGEABLE | {"Failed"}:
            return f"{name} is {described['EndpointStatus']}", ()
        if live != release.id:
            return f"{name} serves {live or 'another release'} by now, not {release.id}", ()
    target = observe_scaling(run).target
    prefixes = (alarm_prefix(run.env), step_alarm_prefix(run.env))
    calls = plan_after_promotion(
        run.env,
        is_there=described is not None,
        bounds=(target["MinCapacity"], target["MaxCapacity"]) if target else None,
        alarms=[alarm["AlarmName"] for prefix in prefixes for alarm in run.aws.alarms(prefix=prefix)],
    )
    run.apply(calls)
    return None, tuple(call.says for call in calls)
