"""Deployments against live endpoints: real boto3, real instances, real alarms, real bakes."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.autoscale import autoscale
from pipeline.autoscaling.policies import resource
from pipeline.autoscaling.rescale import Scaled, key_of, observe_scaled, plan_putting_back, scaling_set_aside
from pipeline.autoscaling.targets import Measured
from pipeline.aws import Aws, Call
from pipeline.config import Environment, with_strategy
from pipeline.deployment.alarms import alarms_of
from pipeline.deployment.deploy import deploy, require_quiet_alarms
from pipeline.deployment.observe import observe, require_live
from pipeline.deployment.plan import config_name, plan_deployment
from pipeline.errors import (
    AlarmNotQuiet,
    DeploymentFailed,
    DeploymentRolledBack,
    EndpointBusy,
    NothingToRollBackTo,
    ReleaseError,
    ReleaseUnproved,
)
from pipeline.promotion.rollback import rollback, rollback_target
from pipeline.promotion.status import standing_of
from pipeline.release import Release
from pipeline.release_store.manifests import fetch_release
from pipeline.state.lock import environment_lock
from pipeline.state.lock_info import who
from pipeline.state.records import deployments
from tests.pipeline.scene import (
    ROOT,
    contract_cloud,
    endpoint_of,
    name_for,
    published,
    quiet,
    scale_to,
)

# 1.5 s and, for a busy machine, four minutes of this test's time.
DEPLOYMENT = {"bake_seconds": 180, "maximum_execution_seconds": 28800}
MakeEnv = Callable[..., Environment]
Publish = Callable[..., Release]


@pytest.fixture(scope="module")
def cloud() -> Iterator[local_aws.Running]:
    """One AWS for all tests here; each has an endpoint of its own. A minute of AWS takes half a second."""
    with contract_cloud(time_scale=120, cpu_scale=0.5, endpoint_quotas="*=200") as running:
        yield running  # the quota: the endpoints of all these tests live side by side


@pytest.fixture
def aws(
    cloud: local_aws.Running,
    make_env: MakeEnv,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Aws:
    """The door of an environment whose endpoint belongs to this test alone."""
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    name = name_for(request.node.name)
    env = make_env(name=name, endpoint={"name": name}, deployment=DEPLOYMENT)
    door = Aws(env)
    bootstrap(env, door, quiet)
    door.made.clear()
    return door


@pytest.fixture
def publish_model(aws: Aws, tmp_path: Path) -> Publish:
    """Publish a model that behaves so; `mark` makes it another release."""

    def publish_it(mark: str, behaviour: str = "status 200") -> Release:
        return published(aws, tmp_path / aws.env.name, mark, behaviour)

    return publish_it


def put_live(release: Release, aws: Aws, tmp_path: Path) -> None:
    deploy(release, aws.env, aws, tmp_path, quiet)
    aws.made.clear()


def test_a_release_goes_live_once(aws: Aws, publish_model: Publish, tmp_path: Path) -> None:
    """The second deploy of the same release makes no call, not even of its record."""
    release = publish_model("one")
    first = deploy(release, aws.env, aws, tmp_path, quiet)
    aws.made.clear()
    second = deploy(release, aws.env, aws, tmp_path, quiet)

    assert first.instances_proved == aws.env.endpoint.initial_instances
    assert second == first
    assert aws.made == []
    assert endpoint_of(aws)["EndpointConfigName"] == config_name(release, aws.env)


@dataclass
class Noting(Aws):
    """The door, noting in which order things are asked for."""

    order: list[str] = field(default_factory=list)

    def apply(self, call: Call) -> dict[str, Any]:
        self.order.append(call.operation)
        return super().apply(call)

    def alarms(self, *, prefix: str = "", names: Sequence[str] = ()) -> list[dict[str, Any]]:
        self.order.append(f"look at {len(names)} alarms" if names else "look at all alarms")
        return super().alarms(prefix=prefix, names=names)


def test_an_update_keeps_the_scaled_out_fleet_and_changes_its_alarms(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    """It begins when the new alarms were seen quiet: one left in ALARM would roll it back at once."""
    old, new = publish_model("old"), publish_model("new")
    put_live(old, aws, tmp_path)
    scale_to(3, aws)
    door = Noting(aws.env)
    result = deploy(new, aws.env, door, tmp_path, quiet)
    names = [alarm["AlarmName"] for alarm in aws.alarms(prefix=f"{aws.env.endpoint.name}/")]
    before = door.order[: door.order.index("update_endpoint")]

    assert before[-5:] == [*["put_metric_alarm"] * 4, "look at 4 alarms"]
    assert result.instances_proved == 3
    assert len(names) == 4
    assert all(config_name(new, aws.env) in name for name in names)
    assert aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config_name(old, aws.env))
    assert [record.release for record in deployments(aws, aws.env.name)] == [old.id, new.id]


def test_a_release_that_answers_500_is_rolled_back_by_its_alarm_each_time(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    """Nobody else calls this endpoint: the deployment's own requests are what the alarm sees.

    The second time the alarm is still in ALARM from the first: the update waits until it is quiet.
    """
    good, bad = publish_model("good"), publish_model("bad", "status 500")
    put_live(good, aws, tmp_path)

    for _ in range(2):
        with pytest.raises(DeploymentRolledBack, match=r"Alarm (5xx|model)-errors.+\[datapoints: ") as caught:
            deploy(bad, aws.env, aws, tmp_path, quiet)
        assert caught.value.live == config_name(good, aws.env)
    assert [record.release for record in deployments(aws, aws.env.name)] == [good.id]
    assert deploy(good, aws.env, aws, tmp_path, quiet).instances_proved == 2


def test_a_new_fleet_whose_answers_are_wrong_is_vetoed_while_it_bakes(aws: Aws, tmp_path: Path) -> None:
    """No other alarm would see it: it answers 200, and in time. The bake lasts ten seconds, if nobody ends it."""
    longer = aws.env.deployment.model_copy(update={"bake_seconds": 1200})
    aws.env = aws.env.model_copy(update={"deployment": longer})
    folder = tmp_path / aws.env.name
    good = published(aws, folder, "good", "predicts 1", prediction=1.05)
    wrong = published(aws, folder, "wrong", "predicts 2", prediction=1.05)
    deploy(good, aws.env, aws, tmp_path, quiet)

    with pytest.raises(DeploymentRolledBack, match=r"prediction is 2, not 1\.05(?s:.+)/smoke-veto"):
        deploy(wrong, aws.env, aws, tmp_path, quiet)
    assert endpoint_of(aws)["EndpointConfigName"] == config_name(good, aws.env)


class Alarms:
    """An AWS whose first alarm is in ALARM for some looks, and time that only sleep moves."""

    def __init__(self, env: Environment, config: str, loud_looks: int) -> None:
        self.now, self._loud_looks = 0.0, loud_looks
        self._names = [alarm["AlarmName"] for alarm in alarms_of(env, config)]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def alarms(self, *, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        self._loud_looks -= 1
        state = "OK" if self._loud_looks < 0 else "ALARM"
        others = [{"AlarmName": name, "StateValue": "INSUFFICIENT_DATA"} for name in self._names[1:]]
        return [{"AlarmName": self._names[0], "StateValue": state}, *others][: len(names)]


def test_quiet_alarms_are_waited_for(env: Environment) -> None:
    door = Alarms(env, "c", loud_looks=3)
    require_quiet_alarms(env, "c", door, clock=lambda: door.now)

    assert 0 < door.now < 10


def test_an_alarm_that_stays_loud_stops_the_update_before_it_begins(env: Environment) -> None:
    door = Alarms(env, "c", loud_looks=10_000)

    with pytest.raises(AlarmNotQuiet, match="c/p99-latency is ALARM"):
        require_quiet_alarms(env, "c", door, clock=lambda: door.now)
    assert 120 < door.now < 130


def test_what_callers_do_wrong_rolls_nothing_back(aws: Aws, publish_model: Publish, tmp_path: Path) -> None:
    """A release that answers 400 to everything is no server error; it is unproved, but stays."""
    good, picky = publish_model("good"), publish_model("picky", "status 400")
    put_live(good, aws, tmp_path)

    with pytest.raises(ReleaseUnproved, match="ModelError"):
        deploy(picky, aws.env, aws, tmp_path, quiet, proof_seconds=1.0)
    assert endpoint_of(aws)["EndpointConfigName"] == config_name(picky, aws.env)


def test_a_failed_endpoint_is_told_and_then_replaced(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    broken, good = publish_model("broken", "exits"), publish_model("good")

    with pytest.raises(DeploymentFailed, match=r"is Failed(?s:.+)  \| the weights say so"):
        deploy(broken, aws.env, aws, tmp_path, quiet)
    assert deploy(good, aws.env, aws, tmp_path, quiet).instances_proved == 2


def test_a_second_runner_waits_for_the_same_deployment_and_stays_out_of_another(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    """As after a crash between UpdateEndpoint and the end of the wait."""
    old, new, third = publish_model("old"), publish_model("new"), publish_model("third")
    put_live(old, aws, tmp_path)
    plan = plan_deployment(new, aws.env, observe(new, aws.env, aws))
    assert plan.shift is not None
    for call in (*plan.prepare, plan.shift):
        aws.apply(call)
    aws.made.clear()

    with pytest.raises(EndpointBusy, match="Updating"):
        deploy(third, aws.env, aws, tmp_path, quiet)
    assert deploy(new, aws.env, aws, tmp_path, quiet).release == new.id
    assert not [sentence for sentence in aws.made if sentence.startswith(("create", "update"))]


def test_rollback_returns_to_the_release_before(aws: Aws, publish_model: Publish, tmp_path: Path) -> None:
    old, new = publish_model("old"), publish_model("new")
    put_live(old, aws, tmp_path)
    with pytest.raises(NothingToRollBackTo):
        rollback(aws.env, aws, tmp_path, quiet)
    put_live(new, aws, tmp_path)
    result = rollback(with_strategy(aws.env, "all_at_once"), aws, tmp_path, quiet)

    assert result.release == old.id
    traffic = endpoint_of(aws)["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert traffic["Type"] == "ALL_AT_ONCE"
    assert result.strategy == "all_at_once"
    assert [each.strategy for each in deployments(aws, aws.env.name)] == [None, "canary", "all_at_once"]
    assert not [sentence for sentence in aws.made if sentence.startswith("create")], (
        "its config is still there"
    )
    assert standing_of(aws.env, aws).release == old.id
    assert rollback_target(aws.env, aws) == new.id
    assert fetch_release(old.id, aws) == old


def test_a_run_that_has_rolled_back_does_not_go_forward_when_it_is_run_again(
    aws: Aws, publish_model: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a later job of it failed, the target is resolved a second time: it has to be the same."""
    old, new = publish_model("old"), publish_model("new")
    for release in (old, new):
        put_live(release, aws, tmp_path)
    for name, value in {"SERVER_URL": "https://github.com", "REPOSITORY": "O/R", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert rollback_target(aws.env, aws) == old.id
    rollback(with_strategy(aws.env, "all_at_once"), aws, tmp_path, quiet, to=old.id)

    assert rollback_target(aws.env, aws) == old.id
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    assert rollback_target(aws.env, aws) == new.id, "another run is another rollback"


def test_a_policy_is_put_in_force_once_and_read_back(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    release = publish_model("one")
    with pytest.raises(ReleaseError, match="is not live"):
        require_live(release, aws.env, aws)
    put_live(release, aws, tmp_path)
    require_live(release, aws.env, aws)

    waiting = autoscale(aws.env, aws, None, quiet)
    assert (waiting.min, waiting.max, waiting.target) == (2, 4, None)
    assert "policy waits for a measured capacity" in waiting.reason

    in_force = autoscale(aws.env, aws, Measured(40.0), quiet)
    assert in_force.target == 1200.0
    assert in_force.policy_in_force_at is not None
    assert in_force.seconds_from_in_service is not None
    assert in_force.seconds_from_in_service < 60
    aws.made.clear()

    assert autoscale(aws.env, aws, Measured(40.0), quiet).target == 1200.0
    assert autoscale(aws.env, aws, None, quiet).target == 1200.0
    assert aws.made == []


def on_larger_instances(env: Environment) -> Environment:
    return env.model_copy(
        update={"endpoint": env.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})}
    )


def put_scaled_live(publish_model: Publish, aws: Aws, tmp_path: Path) -> Release:
    release = publish_model("one")
    put_live(release, aws, tmp_path)
    autoscale(aws.env, aws, Measured(40.0), quiet)
    aws.read("application-autoscaling", "put_scheduled_action", **resource(aws.env), **NIGHT)
    return release


NIGHT = {
    "ScheduledActionName": "night",
    "Schedule": "cron(0 22 * * ? *)",
    "ScalableTargetAction": {"MinCapacity": 2},
}


def test_another_instance_type_keeps_the_scaling(aws: Aws, publish_model: Publish, tmp_path: Path) -> None:
    release = put_scaled_live(publish_model, aws, tmp_path)
    before = observe_scaled(aws.env, aws)
    larger = on_larger_instances(aws.env)
    plan = plan_deployment(release, larger, observe(release, larger, aws))
    aws.made.clear()
    result = deploy(release, larger, aws, tmp_path, quiet)

    assert before is not None
    assert len(before.policies) == len(before.actions) == 1
    assert observe_scaled(aws.env, aws) == before
    assert result.config == config_name(release, larger)
    assert aws.get_json(key_of(larger)) is None
    assert aws.made[:-1] == [call.says for call in plan.calls], "the last call is the record's"


def test_a_change_of_type_that_fails_leaves_the_scaling_in_force(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    release = put_scaled_live(publish_model, aws, tmp_path)
    before = observe_scaled(aws.env, aws)
    larger = on_larger_instances(aws.env)
    plan = plan_deployment(release, larger, observe(release, larger, aws))

    def come_second() -> None:
        with scaling_set_aside(plan.set_aside, larger, aws, quiet):
            assert observe_scaled(aws.env, aws) is None
            raise EndpointBusy("somebody was faster", fix="wait")

    with pytest.raises(EndpointBusy):
        come_second()
    assert observe_scaled(aws.env, aws) == before


def test_what_somebody_put_meanwhile_is_kept(env: Environment) -> None:
    policies = tuple({"PolicyName": name} for name in ("ours", "theirs"))
    scaled = Scaled(target={"MinCapacity": 2, "MaxCapacity": 4}, policies=policies)
    there = Scaled(target={"MinCapacity": 3, "MaxCapacity": 3}, policies=policies[:1])
    calls = plan_putting_back(env, scaled, there)

    assert [call.operation for call in calls] == ["put_scaling_policy", "delete_object"]
    assert calls[0].params["PolicyName"] == "theirs"


def test_status_tells_release_fleet_scaling_and_alarms(
    aws: Aws, publish_model: Publish, tmp_path: Path
) -> None:
    assert standing_of(aws.env, aws).status == "not there"
    release = publish_model("one")
    put_live(release, aws, tmp_path)
    autoscale(aws.env, aws, Measured(40.0), quiet)
    standing = standing_of(aws.env, aws)

    assert (standing.release, standing.status, standing.target) == (release.id, "InService", 1200.0)
    assert (standing.instances, standing.min_instances, standing.max_instances) == (2, 2, 4)
    assert set(standing.alarms) == {"p99-latency", "5xx-errors", "model-errors", "smoke-veto"}
    assert standing.drift == ()
    assert standing.policies == ("1200 invocations per instance and minute",)
    assert standing.by == who(os.environ)
    assert standing.changing is None
    with environment_lock(aws.env, aws, "deploy", quiet):
        assert str(standing_of(aws.env, aws).changing).startswith("`deploy` of ")
