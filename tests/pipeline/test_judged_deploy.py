"""Deployments whose two fleets are compared: real boto3, real instances, real alarms, launches of ten minutes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.judge.judge import FleetVerdict
from pipeline.deployment.observe import observe
from pipeline.deployment.plan import config_name, plan_deployment
from pipeline.errors import DeploymentRolledBack, SmokeFailed
from pipeline.promotion.rollback import rollback
from pipeline.release import Release
from pipeline.run import Run
from tests.pipeline.scene import contract_cloud, endpoint_of, published, wait_for

DEPLOYMENT = {"bake_seconds": 600, "maximum_execution_seconds": 28800}  # 5 s
NEVER_LATE = {"p99_ms": 60_000}  # on a busy machine this alarm would fire first
MakeEnv = Callable[..., Environment]
Publish = Callable[..., Release]


@pytest.fixture(scope="module")
def cloud() -> Iterator[local_aws.Running]:
    """One AWS for all tests here; a minute of it takes half a second, a launch five seconds."""
    with contract_cloud(
        time_scale=120, cpu_scale=0.5, endpoint_quotas="*=200", provision_seconds=600
    ) as running:
        yield running


@pytest.fixture
def run(own_name: str, make_env: MakeEnv, tmp_path: Path) -> Run:
    """Return a run in an environment whose endpoint belongs to this test alone."""
    env = make_env(name=own_name, endpoint={"name": own_name}, deployment=DEPLOYMENT, limits=NEVER_LATE)
    run = Run.for_environment(env, tmp_path)
    bootstrap(run)
    return run


@pytest.mark.starts_processes
def test_a_slower_fleet_is_vetoed_while_it_bakes(run: Run, publish_model: Publish) -> None:
    """Its answers are right, none fails, and each comes within the limit: only the comparison sees it."""
    longer = run.env.deployment.model_copy(update={"bake_seconds": 2400})  # 20 s, if nobody ends it
    run = replace(run, env=run.env.model_copy(update={"deployment": longer}))
    quick, slow = publish_model("quick", "waits 0.01"), publish_model("slow", "waits 0.15")
    deploy(quick, run)

    with pytest.raises(DeploymentRolledBack, match=r"worse than the old fleet: (?s:.+)/smoke-veto"):
        deploy(slow, run)
    assert endpoint_of(run)["EndpointConfigName"] == config_name(quick, run.env)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
def test_a_rollback_to_a_slower_release_is_not_vetoed(run: Run, publish_model: Publish) -> None:
    slow, quick = publish_model("slow", "waits 0.15"), publish_model("quick", "waits 0.01")
    deploy(slow, run)
    deploy(quick, run)

    assert rollback(run).release == slow.id


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
def test_the_result_of_a_bake_too_short_for_a_verdict_says_which_way_was_taken(
    run: Run, publish_model: Publish
) -> None:
    few = run.env.deployment.model_copy(update={"probe_requests_per_second": 1})
    run = replace(run, env=run.env.model_copy(update={"deployment": few}))
    first, second, third = (publish_model(mark) for mark in ("first", "second", "third"))
    deploy(first, run)
    found = deploy(second, run).judged
    strict = run.env.deployment.model_copy(update={"on_inconclusive": "roll_back"})
    refusing = replace(run, env=run.env.model_copy(update={"deployment": strict}))

    assert found is not None
    assert (found.verdict, found.taken) == (FleetVerdict.INCONCLUSIVE, "proceed")
    with pytest.raises(
        (DeploymentRolledBack, SmokeFailed), match=r"inconclusive, and deployment\.on_inconclusive"
    ):
        deploy(third, refusing)


@pytest.mark.starts_processes
def test_a_fleet_that_went_live_while_no_run_watched_is_smoke_tested(run: Run, tmp_path: Path) -> None:
    """A run was killed after UpdateEndpoint; the deployment has ended when the next one comes."""
    folder = tmp_path / run.env.name
    good = published(run, folder, "good", "predicts 1", prediction=1.05)
    wrong = published(run, folder, "wrong", "predicts 2", prediction=1.05)
    deploy(good, run)
    plan = plan_deployment(wrong, run.env, observe(wrong, run))
    assert plan.shift is not None
    for call in (*plan.prepare, plan.shift):
        run.aws.apply(call)
    wait_for(lambda: endpoint_of(run)["EndpointConfigName"] == plan.config, "the update did not end")

    with pytest.raises(SmokeFailed, match=r"is live on .+, but failed its golden tests"):
        deploy(wrong, run)


@pytest.mark.starts_processes
def test_a_wrong_release_is_vetoed_after_a_launch_of_ten_minutes(run: Run, tmp_path: Path) -> None:
    """Requests are sent while the instances launch; those that the old fleet answers use nothing up."""
    folder = tmp_path / run.env.name
    good = published(run, folder, "good", "predicts 1", prediction=1.05)
    wrong = published(run, folder, "wrong", "predicts 2", prediction=1.05)
    deploy(good, run)

    with pytest.raises(DeploymentRolledBack, match=r"is 2, not 1\.05(?s:.+)/smoke-veto"):
        deploy(wrong, run)
    assert endpoint_of(run)["EndpointConfigName"] == config_name(good, run.env)
