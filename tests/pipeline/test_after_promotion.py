"""Staging is kept, scaled down or deleted once its release is in production."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.promotion.after_promotion import after_promotion, plan_after_promotion
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.lock import environment_lock, read_lock

Said = Callable[[], list[str]]
MakeEnv = Callable[..., Environment]
DOWN = {"action": "scale_down", "instances": 2}


@pytest.mark.parametrize(
    ("after", "seen", "operations"),
    [
        ({"action": "keep"}, {}, []),
        (DOWN, {}, ["register_scalable_target"]),
        (DOWN, {"bounds": (2, 2)}, []),
        (DOWN, {"bounds": None}, ["register_scalable_target"]),
        (DOWN, {"is_there": False}, []),
        ({"action": "delete"}, {}, ["deregister_scalable_target", "delete_endpoint", "delete_alarms"]),
        ({"action": "delete"}, {"bounds": None, "alarms": []}, ["delete_endpoint"]),
        ({"action": "delete"}, {"is_there": False}, []),
    ],
)
def test_only_what_the_config_asks_for_is_done(
    make_env: MakeEnv, after: dict[str, Any], seen: dict[str, Any], operations: list[str]
) -> None:
    observed: dict[str, Any] = {"is_there": True, "bounds": (2, 4), "alarms": ["a"], **seen}
    calls = plan_after_promotion(make_env(after_promotion=after), **observed)

    assert [call.operation for call in calls] == operations
    assert [problem_of(call) for call in calls] == [None] * len(calls)


def test_scaled_down_is_one_size_and_nothing_scales_it(make_env: MakeEnv) -> None:
    (call,) = plan_after_promotion(make_env(after_promotion=DOWN), is_there=True, bounds=(2, 4), alarms=[])

    assert (call.params["MinCapacity"], call.params["MaxCapacity"]) == (2, 2)


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"action": "scale_down"}, "needs it"),
        ({"action": "delete", "instances": 2}, "belongs to action: scale_down"),
        ({"action": "scale_down", "instances": 1}, "at most half of the fleet"),
    ],
)
def test_a_lifetime_that_cannot_work_is_refused(make_env: MakeEnv, after: dict[str, Any], says: str) -> None:
    replaced = {"action": "keep", "instances": None} | after
    with pytest.raises(ValueError, match=says):
        make_env(after_promotion=replaced)


def test_an_environment_that_another_run_is_using_stays_as_it_is(
    account: Run, make_env: MakeEnv, release: Release, said: Said
) -> None:
    source = make_env(after_promotion={"action": "delete"})
    with environment_lock(account.in_environment(source), "verify"):
        result = after_promotion(release, account.in_environment(source))

    assert said()[0].startswith("staging stays as it is: staging is being changed by `verify` of ")
    assert said()[0].endswith(str(result.left_because))


def test_an_environment_that_is_gone_already_costs_no_call(
    account: Run, make_env: MakeEnv, release: Release
) -> None:
    source = make_env(after_promotion={"action": "delete"})
    result = after_promotion(release, account.in_environment(source))

    assert account.aws.made == []
    assert (result.action, result.calls, result.left_because) == ("delete", (), None)
    assert read_lock(account.in_environment(source)) is None


def serving(release_id: str, env: Environment, account: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run in an environment whose endpoint serves a release."""
    run = account.in_environment(env)
    described = {
        "EndpointStatus": "InService",
        "EndpointConfigName": f"{env.endpoint.name}-{release_id}-00000000",
    }
    monkeypatch.setattr(run.aws, "describe_endpoint", lambda _: described)
    return run


def test_an_environment_that_serves_another_release_by_now_stays_as_it_is(
    account: Run, make_env: MakeEnv, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release was deployed to it while the one before waited for its approval."""
    other = f"{'f' * 12}-{'f' * 8}"
    run = serving(other, make_env(after_promotion={"action": "delete"}), account, monkeypatch)
    result = after_promotion(release, run)

    assert account.aws.made == []
    assert result.left_because == f"digits-staging serves {other} by now, not {release.id}"


def test_the_fleet_of_the_promoted_release_is_scaled_down(
    account: Run, make_env: MakeEnv, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = serving(release.id, make_env(after_promotion=DOWN), account, monkeypatch)
    applied: list[str] = []
    monkeypatch.setattr(run.aws, "apply", lambda call: applied.append(call.operation))
    result = after_promotion(release, run)

    assert applied == ["register_scalable_target"]
    assert [call.split()[0] for call in result.calls] == ["scale"]
