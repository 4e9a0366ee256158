"""Keep, scale down or delete an environment's endpoint once its release was promoted.

The next `deploy` makes a deleted endpoint again; the next `autoscale` gives a small fleet its bounds back.
"""

import logging
from collections.abc import Sequence

from pipeline.autoscaling.plan import observe_scaling
from pipeline.autoscaling.policies import resource, step_alarm_prefix
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.plan import CHANGEABLE
from pipeline.errors import EnvironmentLocked
from pipeline.run import Run
from pipeline.state.lock import environment_lock

log = logging.getLogger(__name__)


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


def after_promotion(run: Run) -> None:
    """Apply the config's `after_promotion` to the source environment; make no call where it is in effect.

    While another run uses the environment, or its endpoint is changing, it stays unchanged, and a message says so:
    the promotion has succeeded.
    """
    if run.env.after_promotion.action == "keep":
        return
    try:
        with environment_lock(run, "promote"):
            _apply(run)
    except EnvironmentLocked as error:
        log.info(f"{run.env.name} stays as it is: {error.what}")


def _apply(run: Run) -> None:
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    if described is not None and described["EndpointStatus"] not in CHANGEABLE | {"Failed"}:
        log.info(f"{run.env.endpoint.name} is {described['EndpointStatus']}: it stays as it is")
        return
    target = observe_scaling(run).target
    prefixes = (alarm_prefix(run.env), step_alarm_prefix(run.env))
    calls = plan_after_promotion(
        run.env,
        is_there=described is not None,
        bounds=(target["MinCapacity"], target["MaxCapacity"]) if target else None,
        alarms=[alarm["AlarmName"] for prefix in prefixes for alarm in run.aws.alarms(prefix=prefix)],
    )
    run.apply(calls)
