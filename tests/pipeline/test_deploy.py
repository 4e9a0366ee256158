"""Deployments against live endpoints: real boto3, real instances, real alarms, real bakes."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typing_extensions import override

import golden
import local_aws
from golden import Case, Comparison, Expected, Request
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.autoscale import autoscale
from pipeline.autoscaling.policies import invocations_policy, resource
from pipeline.autoscaling.saved_scaling import (
    SavedScaling,
    plan_restoring,
    read_scaling,
    saved_scaling_key,
    scaling_saved,
)
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.aws import AwsClient, Call
from pipeline.config import Environment, with_strategy
from pipeline.deployment.deploy import deploy
from pipeline.deployment.difference import describe_plan, lines_of
from pipeline.deployment.observe import observe, observe_live, require_live
from pipeline.deployment.plan import config_name, plan_deployment
from pipeline.deployment.quiet_alarms import require_quiet_alarms
from pipeline.errors import (
    AlarmNotQuiet,
    DeploymentFailed,
    DeploymentRolledBack,
    EndpointBusy,
    NothingToRollBackTo,
    ReleaseError,
    ReleaseUnproved,
    SmokeFailed,
)
from pipeline.gates import Verdict
from pipeline.promotion.rollback import rollback, rollback_target
from pipeline.promotion.status import environment_status, show
from pipeline.publishing.publish import publish
from pipeline.release import UNCHECKED, Release
from pipeline.release_store.manifests import fetch_release
from pipeline.run import Run
from pipeline.state.audit import audited
from pipeline.state.lock import environment_lock
from pipeline.state.lock_info import actor
from pipeline.state.records import deployments
from tests.pipeline.clocks import FakeClock
from tests.pipeline.scene import (
    contract_cloud,
    endpoint_of,
    published,
    published_answering,
    scale_to,
)
from tests.pipeline.stage import Caller

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
def run(own_name: str, make_env: MakeEnv, tmp_path: Path) -> Run:
    """Return a run in an environment whose endpoint belongs to this test alone."""
    env = make_env(name=own_name, endpoint={"name": own_name}, deployment=DEPLOYMENT)
    run = Run.for_environment(env, tmp_path)
    bootstrap(run)
    run.aws.made.clear()
    return run


def put_live(release: Release, run: Run) -> None:
    deploy(release, run)
    run.aws.made.clear()


@pytest.mark.starts_processes
def test_a_release_goes_live_once(run: Run, publish_model: Publish, tmp_path: Path) -> None:
    """The second deploy of the same release makes no call, not even of its record."""
    release = publish_model("one")
    first = deploy(release, run)
    run.aws.made.clear()
    second = deploy(release, run)

    assert first.instances_proved == run.env.endpoint.initial_instances
    assert second == first
    assert run.aws.made == []
    assert endpoint_of(run)["EndpointConfigName"] == config_name(release, run.env)


@dataclass
class Noting(AwsClient):
    """The client, noting in which order things are asked for."""

    order: list[str] = field(default_factory=list)

    def apply(self, call: Call) -> dict[str, Any]:
        self.order.append(call.operation)
        return super().apply(call)

    def alarms(self, *, prefix: str = "", names: Sequence[str] = ()) -> list[dict[str, Any]]:
        self.order.append(f"look at {len(names)} alarms" if names else "look at all alarms")
        return super().alarms(prefix=prefix, names=names)


@pytest.mark.starts_processes
def test_an_update_keeps_the_scaled_out_fleet_and_changes_its_alarms(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    """It begins when the new alarms were seen quiet: one left in ALARM would roll it back at once."""
    old, new = publish_model("old"), publish_model("new")
    put_live(old, run)
    scale_to(3, run)
    noting = Noting(run.env.aws)
    result = deploy(new, replace(run, aws=noting))
    names = [alarm["AlarmName"] for alarm in run.aws.alarms(prefix=f"{run.env.endpoint.name}/")]
    before = noting.order[: noting.order.index("update_endpoint")]

    assert before[-5:] == [*["put_metric_alarm"] * 4, "look at 4 alarms"]
    assert result.instances_proved == 3
    assert len(names) == 4
    assert all(config_name(new, run.env) in name for name in names)
    assert run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config_name(old, run.env))
    assert [record.release for record in deployments(run.aws, run.env.name)] == [old.id, new.id]


@pytest.mark.starts_processes
def test_a_release_that_answers_500_is_rolled_back_by_its_alarm_each_time(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    """A minute lasts half a second here, so a client sends what a datapoint needs. The judge, which may be quicker, is away.

    The second time the alarm is still in ALARM from the first: the update waits until it is quiet.
    """
    good, bad = publish_model("good"), publish_model("bad", "status 500")
    put_live(good, run)

    for _ in range(2):
        rolled_back = pytest.raises(DeploymentRolledBack, match=r"Alarm (5xx|model)-errors.+\[datapoints: ")
        with Caller(run), rolled_back as caught:
            deploy(bad, run, is_compared=False)
        assert caught.value.live == config_name(good, run.env)
    assert [record.release for record in deployments(run.aws, run.env.name)] == [good.id]
    assert deploy(good, run).instances_proved == 2


@pytest.mark.starts_processes
def test_a_new_fleet_whose_answers_are_wrong_is_vetoed_while_it_bakes(run: Run, tmp_path: Path) -> None:
    """No other alarm would see it: it answers 200, and in time. The bake lasts ten seconds, if nobody ends it."""
    longer = run.env.deployment.model_copy(update={"bake_seconds": 1200})
    run = replace(run, env=run.env.model_copy(update={"deployment": longer}))
    folder = tmp_path / run.env.name
    good = published(run, folder, "good", "predicts 1", prediction=1.05)
    wrong = published(run, folder, "wrong", "predicts 2", prediction=1.05)
    deploy(good, run)

    with pytest.raises(DeploymentRolledBack, match=r"predictions\[0\] is 2, not 1\.05(?s:.+)/smoke-veto"):
        deploy(wrong, run)
    assert endpoint_of(run)["EndpointConfigName"] == config_name(good, run.env)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("media_type", "right", "wrong", "comparison", "difference"),
    [
        (
            "text/csv",
            b"a,1.0\n",
            b"a,1.5\n",
            Comparison("text", absolute=0.01),
            'line 1 is "a,1.5", not "a,1.0"',
        ),
        ("image/png", b"\x89PNG\x00", b"\x89PNG\x01", Comparison("bytes"), "from byte 4 on"),
    ],
)
def test_golden_requests_of_any_media_type_prove_every_instance_and_veto_a_wrong_fleet(
    run: Run,
    tmp_path: Path,
    media_type: str,
    right: bytes,
    wrong: bytes,
    comparison: Comparison,
    difference: str,
) -> None:
    """They are asked plain and as a stream; the model refuses any other media type with 415, which is golden too."""
    longer = run.env.deployment.model_copy(update={"bake_seconds": 1200})
    run = replace(run, env=run.env.model_copy(update={"deployment": longer}))
    expected = Expected(right, media_type, comparison=comparison)
    cases = (
        Case(Request(b"{}"), Expected(None, status=415)),
        Case(Request(right, media_type, accept=media_type), expected),
        Case(Request(right, media_type, is_stream=True), expected),
    )
    good, other, bad = (
        published_answering(run, tmp_path, mark, cases, answer)
        for mark, answer in [("good", right), ("other", right), ("bad", wrong)]
    )
    assert deploy(good, run).instances_proved == 2
    baked = deploy(other, run).bake
    assert baked is not None
    assert baked.verdict is Verdict.PASSED, baked.reason

    with pytest.raises(DeploymentRolledBack, match=re.escape(difference)):
        deploy(bad, run)


@pytest.mark.starts_processes
def test_a_golden_error_that_is_another_one_is_found_once_the_fleet_serves_alone(
    run: Run, tmp_path: Path
) -> None:
    """The error of a model does not name its release: while two fleets answer it cannot be judged."""
    answered = Case(Request(b"x", "text/plain"), Expected(b"x", comparison=Comparison("text")))
    good = published_answering(run, tmp_path, "good", (answered,), b"x")
    cases = (answered, Case(Request(b"{}"), Expected(None, status=400), name="no-text"))
    bad = published_answering(run, tmp_path, "bad", cases, b"x")
    deploy(good, run)

    with pytest.raises(SmokeFailed, match=r"golden case 1 \(no-text\): status is 415, not 400"):
        deploy(bad, run)


@pytest.mark.starts_processes
def test_another_contract_is_deployed_without_a_comparison_of_the_fleets_and_says_so(
    run: Run, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    """The old fleet refuses the new golden requests, which is no fault of the new one."""
    text, csv = (
        published_answering(run, tmp_path, takes, (Case(Request(b"x", takes), same_text(b"x")),), b"x")
        for takes in ("text/plain", "text/csv")
    )
    first = deploy(text, run)
    second = deploy(csv, run)

    assert first.notes == ()
    assert second.notes == (
        f"answers of the new fleet are not compared with {text.id}: other golden requests",
    )
    assert said().count(second.notes[0]) == 1
    assert second.instances_proved == 2


def same_text(body: bytes) -> Expected:
    return Expected(body, comparison=Comparison("text"))


@pytest.mark.starts_processes
def test_an_unchecked_release_goes_live_and_everything_says_so(run: Run, tmp_path: Path) -> None:
    """Its model refuses an empty JSON object: no instance is proved, and that is not passed over."""
    case = Case(Request(b"x", "text/plain"), same_text(b"x"))
    good = published_answering(run, tmp_path, "good", (case,), b"x")
    deploy(good, run)
    (tmp_path / "good" / golden.FILE).unlink()
    unchecked = publish(run, weights=str(tmp_path / "good"), unchecked=True, engine=False)
    result = deploy(unchecked, run)
    status = environment_status(run)

    assert result.unchecked
    assert result.bake is not None
    assert (result.bake.verdict, result.bake.reason) == (Verdict.INCONCLUSIVE, UNCHECKED)
    assert result.instances_proved == 0
    assert [note.partition(":")[0] for note in result.notes] == [
        "UNCHECKED",
        "answers of the new fleet are not compared with " + good.id,
        "UNCHECKED",
    ]
    assert "0 of 2 instances are proved" in result.notes[2]
    assert status.unchecked
    assert UNCHECKED in status.notes
    console = Console(width=400, record=True)
    show([status], console)
    assert UNCHECKED in console.export_text()
    coming = plan_deployment(unchecked, run.env, observe(unchecked, run))
    shown = describe_plan(unchecked, run.env, coming, observe_live(run))
    assert UNCHECKED in [*lines_of(shown, "canary")]


@dataclass
class LoudAlarms(AwsClient):
    """An AWS whose first alarm is in ALARM for some looks."""

    loud_looks: int = 0

    @override
    def alarms(self, *, prefix: str = "", names: Sequence[str] = ()) -> list[dict[str, Any]]:
        self.loud_looks -= 1
        state = "OK" if self.loud_looks < 0 else "ALARM"
        others = [{"AlarmName": name, "StateValue": "INSUFFICIENT_DATA"} for name in names[1:]]
        return [{"AlarmName": names[0], "StateValue": state}, *others]


def loud_for(env: Environment, looks: int) -> tuple[Run, FakeClock]:
    clock = FakeClock()
    return Run(env, LoudAlarms(env.aws, clock, loud_looks=looks), Path("build")), clock


def test_quiet_alarms_are_waited_for(env: Environment) -> None:
    run, clock = loud_for(env, looks=3)
    require_quiet_alarms("c", run)

    assert 0 < clock.at < 10


def test_an_alarm_that_stays_loud_stops_the_update_before_it_begins(env: Environment) -> None:
    run, clock = loud_for(env, looks=10_000)

    with pytest.raises(AlarmNotQuiet, match="c/slow-requests is ALARM"):
        require_quiet_alarms("c", run)
    assert 360 < clock.at < 370, "three periods evaluated, two more looked at, one that still runs"


@pytest.mark.starts_processes
def test_what_callers_do_wrong_rolls_nothing_back(run: Run, publish_model: Publish, tmp_path: Path) -> None:
    """A release that answers 400 to everything is no server error; it is unproved, but stays."""
    good, picky = publish_model("good"), publish_model("picky", "status 400")
    put_live(good, run)

    with pytest.raises(ReleaseUnproved, match="the model answered 400"):
        deploy(picky, run, proof_seconds=1.0)
    assert endpoint_of(run)["EndpointConfigName"] == config_name(picky, run.env)


@pytest.mark.starts_processes
def test_a_failed_endpoint_is_told_and_then_replaced(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    broken, good = publish_model("broken", "exits"), publish_model("good")

    with pytest.raises(DeploymentFailed, match=r"is Failed(?s:.+)  \| the weights say so"):
        deploy(broken, run)
    assert deploy(good, run).instances_proved == 2


@pytest.mark.starts_processes
def test_a_second_runner_waits_for_the_same_deployment_and_stays_out_of_another(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    """As after a crash between UpdateEndpoint and the end of the wait."""
    old, new, third = publish_model("old"), publish_model("new"), publish_model("third")
    put_live(old, run)
    plan = plan_deployment(new, run.env, observe(new, run))
    assert plan.shift is not None
    for call in (*plan.prepare, plan.shift):
        run.aws.apply(call)
    run.aws.made.clear()

    with pytest.raises(EndpointBusy, match="Updating"):
        deploy(third, run)
    assert deploy(new, run).release == new.id
    assert not [sentence for sentence in run.aws.made if sentence.startswith(("create", "update"))]


@pytest.mark.starts_processes
def test_rollback_returns_to_the_release_before(run: Run, publish_model: Publish, tmp_path: Path) -> None:
    old, new = publish_model("old"), publish_model("new")
    put_live(old, run)
    with pytest.raises(NothingToRollBackTo):
        rollback(run)
    put_live(new, run)
    result = rollback(run.in_environment(with_strategy(run.env, "all_at_once")))

    assert result.release == old.id
    traffic = endpoint_of(run)["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert traffic["Type"] == "ALL_AT_ONCE"
    assert result.strategy == "all_at_once"
    assert [each.strategy for each in deployments(run.aws, run.env.name)] == [None, "canary", "all_at_once"]
    assert not [sentence for sentence in run.aws.made if sentence.startswith("create")], (
        "its config is still there"
    )
    assert environment_status(run).release == old.id
    assert rollback_target(run) == new.id
    assert fetch_release(old.id, run.aws) == old


@pytest.mark.starts_processes
def test_a_run_that_has_rolled_back_does_not_go_forward_when_it_is_run_again(
    run: Run, publish_model: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolve the same target a second time, after a later job of the run has failed."""
    old, new = publish_model("old"), publish_model("new")
    for release in (old, new):
        put_live(release, run)
    for name, value in {"SERVER_URL": "https://github.com", "REPOSITORY": "O/R", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert rollback_target(run) == old.id
    rollback(run.in_environment(with_strategy(run.env, "all_at_once")), to=old.id)

    assert rollback_target(run) == old.id
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    assert rollback_target(run) == new.id, "another run is another rollback"


@pytest.mark.starts_processes
def test_a_policy_is_put_in_force_once_and_read_back(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    release = publish_model("one")
    with pytest.raises(ReleaseError, match="is not live"):
        require_live(release, run)
    put_live(release, run)
    require_live(release, run)

    waiting = autoscale(run, None)
    assert (waiting.min, waiting.max, waiting.target) == (2, 4, None)
    assert "policy waits for a measured capacity" in waiting.reason

    in_force = autoscale(run, MeasuredCapacity(40.0))
    assert in_force.target == 1200.0
    assert in_force.policy_in_force_at is not None
    assert in_force.seconds_from_in_service is not None
    assert in_force.seconds_from_in_service < 60
    run.aws.made.clear()

    assert autoscale(run, MeasuredCapacity(40.0)).target == 1200.0
    assert autoscale(run, None).target == 1200.0
    assert run.aws.made == []


def on_larger_instances(env: Environment) -> Environment:
    return env.model_copy(
        update={"endpoint": env.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})}
    )


def put_scaled_live(publish_model: Publish, run: Run, tmp_path: Path) -> Release:
    release = publish_model("one")
    put_live(release, run)
    autoscale(run, MeasuredCapacity(40.0))
    run.aws.read("application-autoscaling", "put_scheduled_action", **resource(run.env), **NIGHT)
    return release


NIGHT = {
    "ScheduledActionName": "night",
    "Schedule": "cron(0 22 * * ? *)",
    "ScalableTargetAction": {"MinCapacity": 2},
}


@pytest.mark.starts_processes
def test_another_instance_type_keeps_the_scaling(run: Run, publish_model: Publish, tmp_path: Path) -> None:
    release = put_scaled_live(publish_model, run, tmp_path)
    before = read_scaling(run)
    larger = on_larger_instances(run.env)
    plan = plan_deployment(release, larger, observe(release, run.in_environment(larger)))
    run.aws.made.clear()
    result = deploy(release, run.in_environment(larger))

    assert before is not None
    assert len(before.policies) == len(before.actions) == 1
    assert read_scaling(run) == before
    assert result.config == config_name(release, larger)
    assert run.aws.get_json(saved_scaling_key(larger)) is None
    assert run.aws.made[:-1] == [call.says for call in plan.calls], "the last call is the record's"


@pytest.mark.starts_processes
def test_a_change_of_type_that_fails_leaves_the_scaling_in_force(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    release = put_scaled_live(publish_model, run, tmp_path)
    before = read_scaling(run)
    larger = on_larger_instances(run.env)
    plan = plan_deployment(release, larger, observe(release, run.in_environment(larger)))

    def come_second() -> None:
        with scaling_saved(plan.save_scaling, run.in_environment(larger)):
            assert read_scaling(run) is None
            raise EndpointBusy("somebody was faster", fix="wait")

    with pytest.raises(EndpointBusy):
        come_second()
    assert read_scaling(run) == before


def test_what_somebody_put_meanwhile_is_kept(env: Environment) -> None:
    policies = tuple({"PolicyName": name} for name in ("ours", "theirs"))
    scaled = SavedScaling(target={"MinCapacity": 2, "MaxCapacity": 4}, policies=policies)
    there = SavedScaling(target={"MinCapacity": 3, "MaxCapacity": 3}, policies=policies[:1])
    calls = plan_restoring(env, scaled, there)

    assert [call.operation for call in calls] == ["put_scaling_policy", "delete_object"]
    assert calls[0].params["PolicyName"] == "theirs"


@pytest.mark.starts_processes
def test_what_was_changed_by_hand_is_seen_by_its_name(run: Run, publish_model: Publish) -> None:
    release = publish_model("one")
    put_live(release, run)
    with audited("autoscale", run, release.id):
        autoscale(run, MeasuredCapacity(40.0))
    assert environment_status(run).drift == ()
    scaling, where, name = "application-autoscaling", resource(run.env), run.env.endpoint.name
    config = endpoint_of(run)["EndpointConfigName"]
    arn = endpoint_of(run)["EndpointArn"]
    suspended = {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }

    def seen() -> set[tuple[str, str | None]]:
        return {(each.setting, each.live) for each in environment_status(run).drift or ()}

    run.aws.read("sagemaker", "add_tags", ResourceArn=arn, Tags=[{"Key": "project", "Value": "theirs"}])
    assert seen() == {("tag project of the endpoint", "theirs")}
    run.aws.read("sagemaker", "add_tags", ResourceArn=arn, Tags=[{"Key": "project", "Value": "digits"}])

    run.aws.read(scaling, "register_scalable_target", **where, SuspendedState=suspended)
    assert seen() == {("scaling suspended", "DynamicScalingInSuspended")}
    run.aws.read(scaling, "register_scalable_target", **where, SuspendedState=dict.fromkeys(suspended, False))

    theirs = {
        "TargetValue": 900.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        },
    }
    policy = {"PolicyName": "theirs", "TargetTrackingScalingPolicyConfiguration": theirs}
    run.aws.read(scaling, "put_scaling_policy", **{**invocations_policy(run.env, 900.0), **policy})
    assert seen() == {("scaling policy theirs", "not in the config")}
    run.aws.read(scaling, "delete_scaling_policy", **where, PolicyName="theirs")

    run.aws.read(scaling, "deregister_scalable_target", **where)
    assert seen() == {("scalable target", None)}

    run.aws.read("sagemaker", "delete_endpoint_config", EndpointConfigName=config)
    assert (f"endpoint config {config}", None) in seen()
    assert name in config


@pytest.mark.starts_processes
def test_status_tells_release_fleet_scaling_and_alarms(
    run: Run, publish_model: Publish, tmp_path: Path
) -> None:
    assert environment_status(run).status == "not there"
    release = publish_model("one")
    put_live(release, run)
    autoscale(run, MeasuredCapacity(40.0))
    status = environment_status(run)

    assert (status.release, status.status, status.target) == (release.id, "InService", 1200.0)
    assert (status.instances, status.min_instances, status.max_instances) == (2, 2, 4)
    assert set(status.alarms) == {"slow-requests", "5xx-errors", "model-errors", "smoke-veto"}
    assert status.drift == ()
    assert status.policies == ("1200 invocations per instance and minute",)
    assert status.by == actor(os.environ)
    assert status.changing is None
    with environment_lock(run, "deploy"):
        assert str(environment_status(run).changing).startswith("`deploy` of ")
