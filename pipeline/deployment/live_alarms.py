"""The alarms that watch what is live, whatever fleet serves it, and notify people until the environment is destroyed.

They watch what the alarms of a rollback watch, without the name of one endpoint config.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.alarms import LIVE, VETO, alarms_of, live_prefix, plan_puts

ONE_FLEET = "EndpointConfigName"


def alerts_topic(env: Environment) -> str:
    """Return the ARN of the topic that `bootstrap --github-repo` makes in the environment's account."""
    place = env.aws
    return f"arn:aws:sns:{place.region}:{place.account_id}:{place.model_package_group}-alerts"


def topic_of(env: Environment) -> str | None:
    """Return the ARN of the topic that is notified; None for nobody."""
    return alerts_topic(env) if env.alarms.notify == "alerts" else env.alarms.notify


def live_alarms_of(env: Environment) -> tuple[dict[str, Any], ...]:
    """Return the parameters of the alarms on the endpoint as a whole; none where nobody is notified."""
    topic = topic_of(env)
    if topic is None:
        return ()
    actions = {
        "AlarmDescription": f"{env.endpoint.name}, whatever serves it; made by the pipeline.",
        "ActionsEnabled": True,
        "AlarmActions": [topic],
        "OKActions": [topic],
    }
    lasting = (each for each in alarms_of(env, LIVE) if each["AlarmName"] != f"{live_prefix(env)}{VETO}")
    return tuple({**_of_every_fleet(alarm), **actions} for alarm in lasting)


def _of_every_fleet(value: Any) -> Any:
    """Return the parameters without the dimension that names one fleet."""
    if isinstance(value, list):
        return [_of_every_fleet(each) for each in value if not _names_one_fleet(each)]
    if isinstance(value, dict):
        return {key: _of_every_fleet(each) for key, each in value.items()}
    return value


def _names_one_fleet(value: Any) -> bool:
    return isinstance(value, dict) and value.get("Name") == ONE_FLEET


def plan_live_alarms(env: Environment, existing: Mapping[str, Mapping[str, Any]]) -> tuple[Call, ...]:
    """List the calls that put the live alarms as the config asks, and delete those that it asks for no more.

    `existing`: all alarms of the endpoint, by name.
    """
    alarms = live_alarms_of(env)
    wanted = {alarm["AlarmName"] for alarm in alarms}
    stale = sorted(name for name in existing if name.startswith(live_prefix(env)) and name not in wanted)
    says = f"delete {len(stale)} live alarms of {env.endpoint.name}"
    removal = (Call("cloudwatch", "delete_alarms", {"AlarmNames": stale}, says),) if stale else ()
    return (*plan_puts(alarms, existing), *removal)
