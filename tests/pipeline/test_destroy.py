"""Destroying takes all that one environment alone has, and only after its name was typed."""

from collections.abc import Callable

import pytest

from pipeline.account.destroy import EnvironmentResources, destroy, observe_resources, plan_destruction
from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.deployment.observe import observe
from pipeline.deployment.plan import plan_deployment
from pipeline.errors import ConfigError, EndpointBusy
from pipeline.names import prefix_of
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.records import DeploymentRecord, deployments, record_deployment

MakeEnv = Callable[..., Environment]


def make_live(release: Release, env: Environment, run: Run) -> None:
    """Deploy, and keep the record as `deploy` does."""
    plan = plan_deployment(release, env, observe(release, run.in_environment(env)))
    run.apply(plan.calls)
    record = DeploymentRecord(
        environment=env.name,
        endpoint=env.endpoint.name,
        release=release.id,
        config=plan.config,
        in_service_at=1.0,
        run_url=None,
    )
    record_deployment(run.aws, record)
    run.aws.made.clear()


def test_only_what_is_its_own_goes(release: Release, make_env: MakeEnv, account: Run) -> None:
    """The name of one endpoint may begin with that of another."""
    mine = make_env(name="mine", endpoint={"name": "digits"})
    other = make_env(name="other", endpoint={"name": "digits-other"})
    make_live(release, mine, account)
    make_live(release, other, account)
    kept = observe_resources(account.in_environment(other))
    result = destroy(account.in_environment(mine), confirmed="mine")

    assert observe_resources(account.in_environment(mine)) == EnvironmentResources()
    assert observe_resources(account.in_environment(other)) == kept
    assert (len(kept.endpoints), len(kept.configs), len(kept.models), len(kept.alarms)) == (1, 1, 1, 4)
    assert result.made == len(account.aws.made) == 5
    assert deployments(account.aws, "mine") == []
    assert len(deployments(account.aws, "other")) == 1


@pytest.mark.parametrize("typed", ["", "production", "Staging"])
def test_without_its_name_nothing_goes(
    release: Release, account: Run, typed: str, said: Callable[[], list[str]]
) -> None:
    make_live(release, account.env, account)

    with pytest.raises(ConfigError, match="Nothing was deleted"):
        destroy(account, ask=lambda: typed)
    assert account.aws.made == []
    assert any("delete endpoint digits-staging" in line for line in said())


def test_its_name_can_be_typed(release: Release, account: Run) -> None:
    make_live(release, account.env, account)

    assert destroy(account, ask=lambda: "staging").made == 5


def test_destroying_nothing_asks_nothing(account: Run) -> None:
    assert destroy(account, ask=pytest.fail).made == 0


def test_an_endpoint_that_is_changing_is_not_deleted(env: Environment) -> None:
    with pytest.raises(EndpointBusy, match="digits-staging is Updating"):
        plan_destruction(env, EnvironmentResources(endpoints=(("digits-staging", "Updating"),)))


def test_what_serves_goes_first_and_its_scaling_before_it(env: Environment) -> None:
    found = EnvironmentResources(
        (("digits-staging", "Failed"),), True, ("c",), ("m",), tuple("a" * 150), ("k",)
    )

    calls = plan_destruction(env, found)

    assert [problem_of(call) for call in calls] == [None] * 7
    assert [call.operation for call in calls] == [
        "deregister_scalable_target",
        "delete_endpoint",
        "delete_endpoint_config",
        "delete_model",
        "delete_alarms",
        "delete_alarms",
        "delete_object",
    ]


def test_a_prefix_is_known_only_of_names_derived_from_content() -> None:
    assert prefix_of("digits-staging-aaaaaaaaaaaa-bbbbbbbb-cccccccc") == "digits-staging"
    assert prefix_of("digits-staging-by-hand") is None
