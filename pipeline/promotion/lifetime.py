"""What becomes of an environment's endpoint once its release was promoted: kept, scaled down, or deleted.

The next `deploy` makes a deleted endpoint again; the next `autoscale` gives a small fleet its bounds back.
"""

from collections.abc import Sequence
from typing import Literal

from pipeline.autoscaling.in_force import observe_scaling
from pipeline.autoscaling.policies import resource, step_alarm_prefix
from pipeline.aws import Aws
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.plan import CHANGEABLE
from pipeline.errors import EnvironmentLocked
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.state.lock import environment_lock
from pipeline.state.records import Say


class AfterPromotionResult(Model):
    """The action that the config asks for, and the calls that it took."""

    release: str
    action: Literal["keep", "scale_down", "delete"]
    calls: tuple[str, ...] = ()
    left_because: str | None = None  # why the environment stays as it is although the config asks for more


def plan_after_promotion(
    env: Environment, *, is_there: bool, bounds: tuple[int, int] | None, alarms: Sequence[str]
) -> tuple[Call, ...]:
    """List the calls that the config asks for. `bounds`: registered for scaling, None: it is not."""
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


def after_promotion(release: Release, env: Environment, aws: Aws, say: Say) -> AfterPromotionResult:
    """Do with the environment that `release` was promoted from what its config says; return what was done.

    What is so already costs no call. The environment stays as it is, and the result says why, while another run
    is using it, its endpoint is changing, or it serves another release by now: the promotion is done all the same.
    """
    action = env.after_promotion.action
    result = AfterPromotionResult(release=release.id, action=action)
    if action == "keep":
        return result
    try:
        with environment_lock(env, aws, "after-promotion", say):
            reason, calls = _leave(release, env, aws, say)
    except EnvironmentLocked as error:
        reason, calls = error.what, ()
    if reason:
        say(f"{env.name} stays as it is: {reason}")
    return result.model_copy(update={"calls": calls, "left_because": reason})


def _leave(release: Release, env: Environment, aws: Aws, say: Say) -> tuple[str | None, tuple[str, ...]]:
    """Make the calls and return (None, their sentences), or (why none was made, nothing)."""
    name = env.endpoint.name
    described = aws.describe_endpoint(name)
    if described is not None:
        serves = release_of(described["EndpointConfigName"])
        if described["EndpointStatus"] not in CHANGEABLE | {"Failed"}:
            return f"{name} is {described['EndpointStatus']}", ()
        if serves != release.id:
            return f"{name} serves {serves or 'another release'} by now, not {release.id}", ()
    target = observe_scaling(env, aws).target
    prefixes = (alarm_prefix(env), step_alarm_prefix(env))
    calls = plan_after_promotion(
        env,
        is_there=described is not None,
        bounds=(target["MinCapacity"], target["MaxCapacity"]) if target else None,
        alarms=[alarm["AlarmName"] for prefix in prefixes for alarm in aws.alarms(prefix=prefix)],
    )
    for call in calls:
        say(call.says)
        aws.apply(call)
    return None, tuple(call.says for call in calls)
