"""Deployments and rollbacks under a second runner, lost answers, a busy AWS, and a kill while they wait."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from pipeline.autoscaling.plan import observe_scaling
from pipeline.aws import AwsClient, Call
from pipeline.deployment import bake
from pipeline.deployment.plan import config_name
from pipeline.errors import EnvironmentLocked, PolicyCannotAct, PolicyNotInForce, SmokeFailed
from pipeline.gates import Verdict
from pipeline.promotion.outcome import outcome_key
from pipeline.promotion.rollback import rollback
from pipeline.run import Run
from pipeline.state.rollback_intent import intent_key
from tests.pipeline.killing import Deadly, begin, exit_code, is_killed
from tests.pipeline.scene import endpoint_of, wait_for
from tests.pipeline.stage import Caller, Stage
from tests.pipeline.steps import Scene, promote_two, scale_in_every_way

pytestmark = pytest.mark.starts_processes

SLOW = {
    "bake_seconds": 600,
    "termination_wait_seconds": 360,
    "maximum_execution_seconds": 28800,
}  # 2.5 s, 1.5 s


@pytest.fixture
def slow_stage(stage: Stage) -> Stage:
    """Return an environment whose deployments bake long enough to be interrupted."""
    stage.deployment = SLOW
    return stage


def writes_of(run: Run) -> list[str]:
    assert isinstance(run.aws, Deadly)
    return run.aws.writes


def is_on(scene: Scene, mark: str) -> bool:
    found = endpoint_of(scene.run)
    wanted = config_name(scene.releases[mark], scene.run.env)
    return (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", wanted)


def test_of_two_deploys_at_once_one_wins_and_the_other_one_explains(slow_stage: Stage) -> None:
    scene = slow_stage.scene("deploy", "two at once")
    name = scene.run.env.name
    first = threading.Thread(target=slow_stage.do, args=("deploy", scene, slow_stage.run_in(name)))
    first.start()
    wait_for(lambda: endpoint_of(scene.run)["EndpointStatus"] == "Updating")

    with pytest.raises(EnvironmentLocked, match=r"is being changed by `deploy` of .+ since .+ sign of life"):
        slow_stage.do("deploy", scene, slow_stage.run_in(name))
    first.join(60)
    assert is_on(scene, "two")
    assert slow_stage.end(scene)["lock"] is None


def in_stage(status: str, words: str) -> Callable[[dict[str, Any]], bool]:
    """Recognise a description of an endpoint whose new fleet is at this stage."""

    def is_there(described: dict[str, Any]) -> bool:
        pending = described.get("PendingDeploymentSummary") or {}
        stages = [each for v in pending.get("ProductionVariants", []) for each in v.get("VariantStatus", [])]
        return any(each["Status"] == status and words in each["StatusMessage"] for each in stages)

    return is_there


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("status", "words"), [("Creating", "Launching"), ("Baking", "canary"), ("Baking", "full capacity")]
)
def test_a_deploy_killed_while_it_waits_is_waited_for_by_the_next_run(
    slow_stage: Stage, status: str, words: str
) -> None:
    scene = slow_stage.scene("deploy", f"{status} {words}")
    deadly = slow_stage.run_in(scene.run.env.name, Deadly, kills_at_sight=in_stage(status, words))
    again = slow_stage.run_in(scene.run.env.name, Deadly)
    with Caller(scene.run) as caller:
        assert is_killed(lambda: slow_stage.do("deploy", scene, deadly))
        slow_stage.do("deploy", scene, again)

    assert is_on(scene, "two")
    assert "UpdateEndpoint" not in writes_of(again)
    assert caller.errors == []
    slow_stage.end(scene)


@pytest.mark.parametrize(
    ("step", "operation"),
    [
        ("first-deploy", "CreateEndpoint"),
        ("deploy", "UpdateEndpoint"),
        ("change-of-type", "DeregisterScalableTarget"),
    ],
)
def test_a_call_whose_answer_was_lost_is_not_made_twice(stage: Stage, step: str, operation: str) -> None:
    """boto3 asks again, and AWS refuses: it has done it."""
    scene = stage.scene(step, operation)
    with stage.cloud.fault("lost-answer", operation=operation, times=1):
        stage.do(step, scene, stage.run_in(scene.run.env.name))

    assert endpoint_of(scene.run)["EndpointStatus"] == "InService"
    stage.end(scene)


OUTAGE_SECONDS = 3.0  # half a minute to the pauses of the run, which are a tenth of what they are elsewhere


@dataclass
class Struck(AwsClient):
    """The client, without boto3's own second tries, at a cloud that fails for a while from one write on."""

    stage: Any = None
    trouble: str = ""
    at_write: int = 0
    writes: int = 0
    outage: ExitStack = field(default_factory=ExitStack)

    def make_client(self, service: str) -> Any:
        config = Config(region_name=self.place.region, retries={"total_max_attempts": 1})
        return boto3.client(service, config=config)

    def apply(self, call: Call) -> dict[str, Any]:
        self.writes += 1
        if self.writes == self.at_write:
            self.outage.enter_context(self.stage.cloud.fault(self.trouble))
            threading.Timer(OUTAGE_SECONDS, self.outage.close).start()
        return super().apply(call)


@pytest.mark.matrix
@pytest.mark.parametrize("at_write", [1, 3])
@pytest.mark.parametrize("kind", ["throttle", "internal-error"])
@pytest.mark.parametrize("step", ["first-deploy", "deploy", "change-of-type", "rollback"])
def test_an_api_that_fails_for_a_while_is_survived(stage: Stage, step: str, kind: str, at_write: int) -> None:
    """Every call of every service, from that write on."""
    scene = stage.scene(step, f"{kind} {at_write}")
    run = stage.run_in(scene.run.env.name, Struck, stage=stage, trouble=kind, at_write=at_write)
    stage.do(step, scene, run)

    assert isinstance(run.aws, Struck)
    assert run.aws.writes > at_write
    assert endpoint_of(scene.run)["EndpointStatus"] == "InService"
    stage.end(scene)


def test_credentials_that_expire_end_the_run_and_the_next_one_finishes(
    slow_stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the middle of the bake, as those of a workflow do after an hour."""
    scene = slow_stage.scene("deploy", "expired")
    name = scene.run.env.name
    first = begin(lambda: slow_stage.do("deploy", scene, slow_stage.run_in(name)))
    wait_for(lambda: in_stage("Baking", "canary")(endpoint_of(scene.run)))
    with slow_stage.cloud.fault("expired-credentials"):
        assert exit_code(first) == 1
    again = slow_stage.run_in(name, Deadly)
    slow_stage.do("deploy", scene, again)

    assert "AwsUnreachable: " in capfd.readouterr().err
    assert is_on(scene, "two")
    assert "UpdateEndpoint" not in writes_of(again)
    slow_stage.end(scene)


def test_a_promotion_approves_the_release_and_one_that_fails_its_smoke_test_is_undone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few answers are judged during the bake, which vetoes nothing: the smoke test after it decides."""
    monkeypatch.setattr(bake, "ENOUGH_ANSWERS", 100_000)
    scene = stage.scene("promote", "fails")
    with pytest.raises(SmokeFailed, match="an answer: was wrong"):
        promote_two(scene, scene.run, passes=False)
    outcome = scene.run.aws.get_json(outcome_key(scene.releases["two"].id, scene.run.env.name))
    assert outcome is not None
    status = {each["ModelPackageDescription"]: each["ModelApprovalStatus"] for each in packages(scene)}

    assert is_on(scene, "one")
    assert (outcome["verdict"], outcome["live"]) == ("failed", scene.releases["one"].id)
    assert set(status.values()) == {"PendingManualApproval"}

    result = promote_two(scene, scene.run)
    status = {each["ModelPackageDescription"]: each["ModelApprovalStatus"] for each in packages(scene)}
    assert is_on(scene, "two")
    assert result.deploy.bake is not None
    assert result.deploy.bake.verdict is Verdict.INCONCLUSIVE
    assert status[f"release {scene.releases['two'].id}"] == "Approved"
    assert status[f"release {scene.releases['one'].id}"] == "PendingManualApproval"
    stage.end(scene)


def test_a_promotion_killed_while_it_is_undone_is_undone_by_the_next_run(slow_stage: Stage) -> None:
    scene = slow_stage.scene("promote-in-vain", "killed")
    one, two = (config_name(scene.releases[mark], scene.run.env) for mark in ("one", "two"))

    def is_going_back(endpoint: dict[str, Any]) -> bool:
        return endpoint["EndpointStatus"] == "Updating" and endpoint["EndpointConfigName"] == two and (
            one in str(endpoint.get("PendingDeploymentSummary"))
        )  # fmt: skip

    deadly = slow_stage.run_in(scene.run.env.name, Deadly, kills_at_sight=is_going_back)
    assert is_killed(lambda: slow_stage.do("promote-in-vain", scene, deadly))

    again = slow_stage.run_in(scene.run.env.name, Deadly)
    with pytest.raises(
        SmokeFailed, match=r"an answer: was wrong.* An earlier run found this, and was interr"
    ):
        promote_two(scene, again)
    outcome = scene.run.aws.get_json(outcome_key(scene.releases["two"].id, scene.run.env.name))
    assert outcome is not None
    assert is_on(scene, "one")
    assert "UpdateEndpoint" not in writes_of(again)
    assert (outcome["verdict"], outcome["live"]) == ("failed", scene.releases["one"].id)
    assert scene.run.aws.get_json(intent_key(scene.run.env)) is None, "the next one begins anew"
    slow_stage.end(scene)


def test_a_release_that_no_policy_scales_is_not_left_in_service(stage: Stage) -> None:
    """The config follows a measured capacity, and the evidence has none."""
    scene = stage.scene("promote", "unscaled")
    scaling = scene.run.env.autoscaling.model_copy(update={"target": "measured"})
    scene.run = replace(scene.run, env=scene.run.env.model_copy(update={"autoscaling": scaling}))

    with pytest.raises(PolicyNotInForce, match="policy waits for a measured capacity"):
        promote_two(scene, scene.run)
    assert is_on(scene, "one")
    stage.end(scene)


def test_a_policy_that_cannot_act_is_refused_before_anything_is_put(stage: Stage) -> None:
    scene = stage.scene("autoscale", "noise")
    scaling = scene.run.env.autoscaling.model_copy(update={"target": 5.0})
    scene.run = replace(scene.run, env=scene.run.env.model_copy(update={"autoscaling": scaling}))

    with pytest.raises(PolicyCannotAct, match="5 invocations per instance and minute is below noise"):
        scene.autoscale("one")
    assert stage.end(scene)["scaling"] is None


def test_every_way_of_scaling_is_in_force_and_put_once(stage: Stage) -> None:
    scene = stage.scene("autoscale", "every way")
    name = scene.run.env.name
    first, second = stage.run_in(name, Deadly), stage.run_in(name, Deadly)
    result = scale_in_every_way(scene, first)
    again = scale_in_every_way(scene, second)
    found = observe_scaling(scene.run)

    assert set(result.policies) == {
        f"{name}-{each}" for each in ("invocations", "concurrency", "slow", "cold")
    }
    assert "bounds by the clock" in result.reason
    assert "within the limit of 60 s" in result.reason
    assert [len(each) for each in (found.policies, found.actions, found.alarms)] == [4, 1, 2]
    assert {alarm["AlarmActions"][0] for alarm in found.alarms.values()} <= {
        policy["PolicyARN"] for policy in found.policies.values()
    }
    assert writes_of(second) == []
    assert again.policies == result.policies
    stage.end(scene)


def packages(scene: Scene) -> list[dict[str, Any]]:
    which = {"ModelPackageGroupName": scene.run.env.aws.model_package_group}
    return list(scene.run.aws.pages("sagemaker", "list_model_packages", "ModelPackageSummaryList", **which))


def test_a_rollback_uses_the_existing_config_and_tells_its_time(
    stage: Stage, said: Callable[[], list[str]]
) -> None:
    """Also when the settings have changed since: what is put back is what was live."""
    scene = stage.scene("rollback", "edited")
    was = config_name(scene.releases["one"], scene.run.env)
    run = stage.run_in(scene.run.env.name, Deadly)
    edited = run.env.endpoint.model_copy(update={"environment": {"LOG": "debug"}})
    result = rollback(replace(run, env=run.env.model_copy(update={"endpoint": edited})))

    assert (result.config, result.config_was_at_hand) == (was, True)
    assert endpoint_of(scene.run)["EndpointConfigName"] == was
    assert not {"CreateModel", "CreateEndpointConfig"} & set(writes_of(run))
    assert said()[-1].endswith(f"{result.seconds:g} s after the rollback began")

    scene.run.aws.read(
        "sagemaker",
        "delete_endpoint_config",
        EndpointConfigName=config_name(scene.releases["two"], scene.run.env),
    )
    again = rollback(scene.run, to=scene.releases["two"].id)
    assert not again.config_was_at_hand
    assert is_on(scene, "two")
    stage.end(scene)
