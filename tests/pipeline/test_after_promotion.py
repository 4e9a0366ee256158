"""Staging is kept, scaled down or deleted once its release is in production."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.promotion.after_promotion import after_promotion, plan_after_promotion
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
    account: Run, make_env: MakeEnv, said: Said
) -> None:
    source = make_env(after_promotion={"action": "delete"})
    with environment_lock(account.in_environment(source), "verify"):
        after_promotion(account.in_environment(source))

    assert said()[0].startswith("staging stays as it is: staging is being changed by `verify` of ")


def test_an_environment_that_is_gone_already_costs_no_call(account: Run, make_env: MakeEnv) -> None:
    source = make_env(after_promotion={"action": "delete"})
    after_promotion(account.in_environment(source))

    assert account.aws.made == []
    assert read_lock(account.in_environment(source)) is None
