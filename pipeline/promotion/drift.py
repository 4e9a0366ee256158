"""Name each setting in which AWS differs from the config for the live release. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.autoscaling.plan import Scaling, describe
from pipeline.autoscaling.policies import (
    policies_of,
    policy_name,
    scheduled_actions_of,
    step_alarm_prefix,
    step_alarms_of,
)
from pipeline.aws.drift import contains
from pipeline.config import Environment
from pipeline.deployment.alarms import LIVE, alarms_of, live_prefix
from pipeline.deployment.difference import Change, Live, changes_between, settings_of
from pipeline.deployment.live_alarms import live_alarms_of
from pipeline.deployment.plan import config_parameters, model_parameters
from pipeline.release import Release

AS_CONFIGURED, OTHER, NOT_CONFIGURED = "as in the config", "other settings", "not in the config"
Described = Mapping[str, Any]
Settings = dict[str, str]


@dataclass(frozen=True)
class History:
    """The facts that the environment's records hold. `was_scaled`: since its endpoint was made; `is_measured`: the capacity is known."""

    was_scaled: bool = False
    is_measured: bool = False


@dataclass(frozen=True)
class Seen:
    """The state of an environment in AWS. `tags`: of endpoint, endpoint config and model; those that were read."""

    live: Live
    scaling: Scaling
    alarms: Sequence[Described] = ()
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def drift_of(
    env: Environment, release: Release, seen: Seen, history: History = History()
) -> tuple[Change, ...]:
    """Name each setting in which AWS differs from the config for this release, also what it has and the config lacks.

    The strategy of a deployment is no setting of the live fleet, and a measured scaling target has no number in the
    config. A fleet that was never scaled, and a policy that waits for a measurement, have not drifted.
    """
    parts = (
        _fleet(env, release, seen.live),
        _bounds(env, seen.scaling, history),
        _policies(env, seen.scaling, history),
        _actions(env, seen.scaling),
        _step_alarms(env, seen.scaling),
        _alarms(env, seen),
        _tags(env, seen.tags),
    )
    return tuple(change for found, wanted in parts for change in changes_between(found, wanted))


def foreign_config(config: str, release: str | None) -> tuple[Change, ...] | None:
    """Return the drift of an endpoint whose release is not known; None: it is ours, but its manifest is gone."""
    if release is not None:
        return None
    return (Change(setting="endpoint config", live=config, coming="one of this pipeline"),)


def _fleet(env: Environment, release: Release, live: Live) -> tuple[Settings, Settings]:
    config, model = config_parameters(release, env), model_parameters(release, env)
    gone = {}
    if not live.config:
        gone[f"endpoint config {live.endpoint.get('EndpointConfigName')}"] = "as it was deployed"
        return {}, gone
    if not live.model:
        gone[f"model {next(iter(live.config.get('ProductionVariants', [{}]))).get('ModelName')}"] = (
            "as it was deployed"
        )
        model = {}
    return settings_of(live.model, live.config), settings_of(model, config) | gone


def _bounds(env: Environment, scaling: Scaling, history: History) -> tuple[Settings, Settings]:
    if scaling.bounds is None:
        return {}, {"scalable target": "registered"} if history.was_scaled else {}
    least, most = env.autoscaling.min_instances, env.autoscaling.max_instances
    by_clock = {
        (each.min_instances or least, each.max_instances or most) for each in env.autoscaling.schedule
    }
    small = env.after_promotion.instances
    allowed = by_clock if small is None else by_clock | {(small, small)}
    wanted = scaling.bounds if scaling.bounds in allowed else (least, most)
    names = ("min instances", "max instances")
    found = dict(zip(names, map(str, scaling.bounds), strict=True))
    suspended = sorted(
        name for name, is_on in (scaling.target or {}).get("SuspendedState", {}).items() if is_on
    )
    found |= {"scaling suspended": ", ".join(suspended)} if suspended else {}
    return found, dict(zip(names, map(str, wanted), strict=True))


def _policies(env: Environment, scaling: Scaling, history: History) -> tuple[Settings, Settings]:
    wanted = {policy["PolicyName"]: policy for policy in policies_of(*_with_measured_targets(env, scaling))}
    found, coming = _compared("scaling policy", wanted, scaling.policies, exists=scaling.target is not None)
    measured = {"invocations": env.autoscaling.target, "concurrency": env.autoscaling.concurrency_target}
    for kind, target in measured.items():
        name = policy_name(env, kind)
        if (
            target == "measured"
            and name not in scaling.policies
            and history.was_scaled
            and history.is_measured
        ):
            coming[f"scaling policy {name}"] = "at the measured target"
    for name in scaling.policies.keys() & wanted.keys():
        if found[f"scaling policy {name}"] != AS_CONFIGURED:
            found[f"scaling policy {name}"] = describe(scaling.policies[name])
            coming[f"scaling policy {name}"] = describe(wanted[name])
            if found[f"scaling policy {name}"] == coming[f"scaling policy {name}"]:
                found[f"scaling policy {name}"], coming[f"scaling policy {name}"] = OTHER, AS_CONFIGURED
    return found, coming


def _with_measured_targets(env: Environment, scaling: Scaling) -> tuple[Environment, float | None]:
    """Return the environment with the measured targets that are in force, which no config names."""
    target = env.autoscaling.target
    number = scaling.target_of("invocations") if target == "measured" else target
    if env.autoscaling.concurrency_target != "measured":
        return env, number
    known = {"concurrency_target": scaling.target_of("concurrency")}
    return env.model_copy(update={"autoscaling": env.autoscaling.model_copy(update=known)}), number


def _actions(env: Environment, scaling: Scaling) -> tuple[Settings, Settings]:
    wanted = {action["ScheduledActionName"]: action for action in scheduled_actions_of(env)}
    return _compared("scheduled action", wanted, scaling.actions, exists=scaling.target is not None)


def _step_alarms(env: Environment, scaling: Scaling) -> tuple[Settings, Settings]:
    arns = {name: str(policy.get("PolicyARN")) for name, policy in scaling.policies.items()}
    there = {policy_name(env, each.name) for each in env.autoscaling.steps} <= set(arns)
    alarms = step_alarms_of(env, arns) if there else ()
    wanted = {alarm["AlarmName"].removeprefix(step_alarm_prefix(env)): alarm for alarm in alarms}
    found = {name.removeprefix(step_alarm_prefix(env)): alarm for name, alarm in scaling.alarms.items()}
    return _compared("scaling alarm", wanted, found, exists=there)


def _alarms(env: Environment, seen: Seen) -> tuple[Settings, Settings]:
    rollback = alarms_of(env, str(seen.live.endpoint.get("EndpointConfigName")))
    wanted = {short_name(alarm["AlarmName"], env): alarm for alarm in (*rollback, *live_alarms_of(env))}
    found = {short_name(alarm["AlarmName"], env): alarm for alarm in seen.alarms}
    return _compared("alarm", wanted, found, exists=True)


def _tags(env: Environment, tags: Mapping[str, Mapping[str, str]]) -> tuple[Settings, Settings]:
    found = {f"tag {key} of the {what}": value for what, each in tags.items() for key, value in each.items()}
    wanted = {f"tag {key} of the {what}": value for what in tags for key, value in env.aws.tags.items()}
    return found, wanted


def _compared(
    what: str, wanted: Mapping[str, Described], there: Mapping[str, Described], *, exists: bool
) -> tuple[Settings, Settings]:
    """Compare by name. `exists`: False, nothing of this kind was put yet, and what is missing has not drifted."""
    found = {
        f"{what} {name}": AS_CONFIGURED if name in wanted and contains(wanted[name], each) else OTHER
        for name, each in there.items()
    }
    for name in there.keys() - wanted.keys():
        found[f"{what} {name}"] = NOT_CONFIGURED
    return found, {f"{what} {name}": AS_CONFIGURED for name in wanted if exists or name in there}


def short_name(alarm: str, env: Environment) -> str:
    """Return an alarm's name without the endpoint's: `slow-requests` of a fleet, `live slow-requests` of the endpoint."""
    what = alarm.rpartition("/")[2]
    return f"{LIVE} {what}" if alarm.startswith(live_prefix(env)) else what
