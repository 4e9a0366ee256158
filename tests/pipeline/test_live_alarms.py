"""Alarms on what is live notify people: put with the release, kept by every later one, gone when nobody is told."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.account.destroy import EnvironmentResources, plan_destruction
from pipeline.account.garbage import _config_of_alarm
from pipeline.account.notify import LONGEST_SUBJECT, notify
from pipeline.autoscaling.plan import Scaling
from pipeline.config import Environment
from pipeline.deployment.alarm_odds import DAY_SECONDS, PROMISES, SLOW_SHARE, datapoints_at_most, rules_of
from pipeline.deployment.alarms import LIVE, alarms_of
from pipeline.deployment.difference import Live
from pipeline.deployment.live_alarms import live_alarms_of
from pipeline.deployment.plan import (
    Observed,
    config_name,
    config_parameters,
    model_parameters,
    plan_deployment,
)
from pipeline.errors import ConfigError
from pipeline.promotion.drift import Seen, drift_of
from pipeline.release import Release
from pipeline.run import Run

MakeEnv = Callable[..., Environment]
ALERTS = "arn:aws:sns:eu-west-1:123456789012:digits-alerts"
PAGER = "arn:aws:sns:eu-west-1:210987654321:pager"


@pytest.fixture
def told(make_env: MakeEnv) -> Environment:
    """Return an environment whose live alarms notify bootstrap's topic."""
    return make_env(alarms={"notify": "alerts"})


def by_name(*alarms: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {alarm["AlarmName"]: {**alarm, "StateValue": "OK"} for alarm in alarms}


def live_with(release: Release, env: Environment, *more: Mapping[str, Any]) -> Observed:
    """Return what AWS has while the release serves, with its alarms and `more`."""
    config = config_name(release, env)
    there = by_name(*alarms_of(env, config), *more)
    return Observed("InService", config, None, has_model=True, has_config=True, alarms=there)


def test_they_watch_the_endpoint_whatever_fleet_serves_it(told: Environment) -> None:
    alarms = live_alarms_of(told)

    assert [alarm["AlarmName"] for alarm in alarms] == [
        f"digits-staging/live/{what}" for what in ("slow-requests", "5xx-errors", "model-errors")
    ]
    assert "EndpointConfigName" not in str(alarms)
    (fast, _, _, _) = alarms[0]["Metrics"]
    assert fast["MetricStat"]["Metric"]["Dimensions"] == [
        {"Name": "EndpointName", "Value": "digits-staging"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]


def test_they_err_no_more_often_in_a_day_than_those_of_a_rollback_in_a_deployment(told: Environment) -> None:
    rollback, lasting = (rules_of(told, is_live=is_live)[0] for is_live in (False, True))
    a_day = datapoints_at_most(told, DAY_SECONDS)

    assert lasting.fewest_bad(1200) > rollback.fewest_bad(1200)
    assert lasting.firing_chance(1200, SLOW_SHARE, a_day) <= told.alarms.false_alarm_percent / 100 / PROMISES


@pytest.mark.parametrize(("notify_", "topic"), [("alerts", ALERTS), (PAGER, PAGER)])
def test_they_notify_the_topic_and_those_of_a_rollback_nobody(
    make_env: MakeEnv, notify_: str, topic: str
) -> None:
    env = make_env(alarms={"notify": notify_})

    for alarm in live_alarms_of(env):
        assert (alarm["ActionsEnabled"], alarm["AlarmActions"], alarm["OKActions"]) == (
            True,
            [topic],
            [topic],
        )
    for alarm in alarms_of(env, "config"):
        assert not alarm["ActionsEnabled"]
        assert "AlarmActions" not in alarm


def test_a_custom_alarm_notifies_too_and_the_veto_of_a_bake_does_not(make_env: MakeEnv) -> None:
    custom = {"name": "overhead", "metric": "OverheadLatency", "statistic": "p99", "threshold": 1.0}
    names = [
        alarm["AlarmName"]
        for alarm in live_alarms_of(make_env(alarms={"notify": "alerts", "custom": (custom,)}))
    ]

    assert f"digits-staging/{LIVE}/overhead" in names
    assert not [name for name in names if "veto" in name]


def test_they_are_put_once_the_release_is_live(release: Release, told: Environment) -> None:
    plan = plan_deployment(release, told, Observed())

    assert [call.params["AlarmName"] for call in plan.clean] == [a["AlarmName"] for a in live_alarms_of(told)]
    assert not [call for call in plan.prepare if f"/{LIVE}/" in str(call.params)]


def test_the_next_release_keeps_them(make_test_release: Callable[[str], Release], told: Environment) -> None:
    old, new = make_test_release("a"), make_test_release("b")
    plan = plan_deployment(new, told, live_with(old, told, *live_alarms_of(told)))
    (removal,) = plan.clean

    assert removal.operation == "delete_alarms"
    assert not [name for name in removal.params["AlarmNames"] if f"/{LIVE}/" in name]


def test_what_is_in_force_costs_no_call(release: Release, told: Environment) -> None:
    assert plan_deployment(release, told, live_with(release, told, *live_alarms_of(told))).calls == ()


def test_when_nobody_is_to_be_told_they_go(release: Release, told: Environment, env: Environment) -> None:
    alarms = live_alarms_of(told)
    (removal,) = plan_deployment(release, env, live_with(release, env, *alarms)).calls

    assert removal.params["AlarmNames"] == sorted(alarm["AlarmName"] for alarm in alarms)


def test_gc_takes_them_for_no_config_and_destroy_removes_them(told: Environment) -> None:
    names = tuple(alarm["AlarmName"] for alarm in live_alarms_of(told))
    (call,) = plan_destruction(told, EnvironmentResources(alarms=names))

    assert {_config_of_alarm(name) for name in names} == {LIVE}
    assert call.params["AlarmNames"] == [*names]


def drift(
    release: Release, env: Environment, *more: Mapping[str, Any]
) -> dict[str, tuple[str | None, str | None]]:
    config = config_parameters(release, env)
    endpoint = {"EndpointConfigName": config["EndpointConfigName"]}
    live = Live(endpoint=endpoint, config=config, model=model_parameters(release, env))
    there = [*by_name(*alarms_of(env, config["EndpointConfigName"]), *more).values()]
    found = drift_of(env, release, Seen(live, Scaling({"MinCapacity": 2, "MaxCapacity": 4}), there))
    return {each.setting: (each.live, each.coming) for each in found}


def test_one_that_is_missing_silenced_or_left_over_is_drift(
    release: Release, told: Environment, env: Environment
) -> None:
    alarms = live_alarms_of(told)
    silenced = {**alarms[0], "ActionsEnabled": False}

    assert drift(release, told, *alarms) == {}
    assert drift(release, told, *alarms[1:]) == {"alarm live slow-requests": (None, "as in the config")}
    assert drift(release, told, silenced, *alarms[1:]) == {
        "alarm live slow-requests": ("other settings", "as in the config")
    }
    assert drift(release, env, alarms[0]) == {"alarm live slow-requests": ("not in the config", None)}


# ------------------------------------------------------------------------------------------------ notify


def received(run: Run) -> list[dict[str, Any]]:
    """Return what was published, from a queue that subscribes to the topic."""
    queue = run.aws.read("sqs", "create_queue", QueueName="mail")["QueueUrl"]
    arn = run.aws.read("sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"])
    run.aws.read(
        "sns", "subscribe",
        TopicArn=ALERTS, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"],
    )  # fmt: skip
    notify(run, "production: the release ä failed\nsee the run")
    found: list[dict[str, Any]] = run.aws.read("sqs", "receive_message", QueueUrl=queue).get("Messages", [])
    return found


def test_a_message_reaches_the_topic_with_the_address_of_the_run(
    account: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SERVER_URL": "https://github.com", "REPOSITORY": "ORG/REPO", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    account.aws.read("sns", "create_topic", Name="digits-alerts")
    (message,) = received(account)

    assert (
        "the release \\u00e4 failed\\nsee the run\\nhttps://github.com/ORG/REPO/actions/runs/7"
        in message["Body"]
    )
    assert '"Subject": "digits staging: production: the release ? failed"' in message["Body"]
    assert len("digits staging: production: the release ? failed") < LONGEST_SUBJECT


def test_without_a_topic_nobody_is_notified_and_that_is_an_error(account: Run) -> None:
    with pytest.raises(ConfigError, match="nobody was notified"):
        notify(account, "failed")
