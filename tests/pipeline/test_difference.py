"""A plan says what is live, what will be, and each call between them; it makes none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.config import Environment
from pipeline.deployment.difference import (
    Change,
    PlanResult,
    changes_between,
    describe_plan,
    lines_of,
    settings_of,
)
from pipeline.deployment.observe import observe, observe_live
from pipeline.deployment.plan import config_parameters, model_parameters, plan_deployment
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.records import StepRecord
from tests.pipeline.scene import ROOT

MakeEnv = Callable[..., Environment]
MakeRelease = Callable[..., Release]


def planned(release: Release, run: Run) -> PlanResult:
    plan = plan_deployment(release, run.env, observe(release, run))
    return describe_plan(release, run.env, plan, observe_live(run))


def make_live(release: Release, run: Run) -> None:
    run.apply(plan_deployment(release, run.env, observe(release, run)).calls)
    run.aws.made.clear()


def test_settings_that_differ_are_named_and_no_others() -> None:
    changes = changes_between({"a": "1", "b": "2", "gone": "3"}, {"new": "0", "a": "1", "b": "9"})

    assert changes == (
        Change(setting="new", live=None, coming="0"),
        Change(setting="b", live="2", coming="9"),
        Change(setting="gone", live="3", coming=None),
    )


def test_what_surrounds_the_model_is_named_too(release: Release, make_env: MakeEnv) -> None:
    """Network, keys and what is captured decide who sees what: a plan must not hide them."""
    plain = make_env()
    guarded = make_env(
        endpoint={
            "vpc": {"subnets": ["subnet-0a", "subnet-0b"], "security_groups": ["sg-0c"]},
            "network_isolation": True,
            "kms_key": "alias/disk",
            "data_capture": {"percent": 10, "content": ["input"], "kms_key": "alias/captured"},
        }
    )
    before, after = (
        settings_of(model_parameters(release, env), config_parameters(release, env))
        for env in (plain, guarded)
    )

    assert {change.setting: change.coming for change in changes_between(before, after)} == {
        "subnets": "subnet-0a subnet-0b",
        "security groups": "sg-0c",
        "network isolation": "on",
        "storage key": "alias/disk",
        "data capture": "10 % of input to s3://digits-releases-123456789012/captured",
        "data capture key": "alias/captured",
    }


def test_a_first_deployment_is_all_new(release: Release, env: Environment, account: Run) -> None:
    result = planned(release, account)
    shown = list(lines_of(result, env.deployment.strategy))

    assert result.action == "create"
    assert all(change.live is None for change in result.changes)
    assert shown[0] == f"digits-staging: nothing → {release.id} (create)"
    assert "  + instance type: ml.m5.large" in shown


def test_another_release_and_type_are_a_difference(
    make_test_release: MakeRelease, make_env: MakeEnv, account: Run
) -> None:
    old, new = make_test_release("a"), make_test_release("b")
    make_live(old, account.in_environment(make_env(endpoint={"environment": {"LOG": "debug"}})))
    larger = make_env(endpoint={"instance_type": "ml.m5.xlarge"})
    result = planned(new, account.in_environment(larger))
    shown = "\n".join(lines_of(result, "canary"))

    assert shown.startswith(f"digits-staging: {old.id} → {new.id} (update, canary)\n")
    assert "  ~ instance type: ml.m5.large → ml.m5.xlarge\n" in shown
    assert f"  ~ weights: {old.weights.uri} → {new.weights.uri}\n" in shown
    assert "  - environment LOG: debug\n" in shown
    assert "  = instances: 2, kept\n" in shown
    assert "  ~ update endpoint" in shown
    assert "  - delete 4 alarms" in shown
    assert "variant" not in {change.setting for change in result.changes}


def test_nothing_to_do_is_one_line(release: Release, env: Environment, account: Run) -> None:
    make_live(release, account)
    result = planned(release, account)

    assert (result.action, result.changes, result.calls) == ("nothing", (), ())
    assert list(lines_of(result, "canary")) == [f"{release.id} is live on digits-staging: nothing to do"]


def test_a_changed_alarm_is_an_adjustment(release: Release, make_env: MakeEnv, account: Run) -> None:
    make_live(release, account)
    result = planned(release, account.in_environment(make_env(alarms={"p99_latency_ms": 400})))

    assert (result.action, result.changes, len(result.calls)) == ("adjust", (), 1)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_plan_writes_nothing(
    release: Release, account: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    release.save(tmp_path / "release.json")
    where = ["--env", "staging", "--build", str(tmp_path), "--config", str(ROOT / "config")]
    code = main(["plan", *where, *(["--json"] if as_json else [])])
    record = StepRecord.model_validate_json((tmp_path / "staging" / "plan.json").read_text())

    assert code == 0
    assert record.calls == ()
    assert account.aws.describe_endpoint(account.env.endpoint.name) is None
    if as_json:
        assert json.loads(capsys.readouterr().out)["action"] == "create"
