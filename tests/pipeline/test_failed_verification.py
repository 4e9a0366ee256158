"""A release that failed its verification: `status` says so, and config says whether the one before is put back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from pipeline.config import Verification
from pipeline.errors import GateFailed, NothingToRollBackTo
from pipeline.names import release_of
from pipeline.promotion.after_verification import verify_or_roll_back
from pipeline.promotion.rollback import rollback
from pipeline.promotion.status import EnvironmentStatus, environment_status, show
from pipeline.run import Run
from pipeline.state.rollback_intent import interrupted_rollback
from pipeline.verification.evidence import Evidence, evidence_key
from tests.pipeline.killing import Deadly, is_killed
from tests.pipeline.scene import endpoint_of
from tests.pipeline.stage import Stage
from tests.pipeline.steps import Scene

pytestmark = pytest.mark.starts_processes
GATE: dict[str, Any] = {
    "name": "smoke",
    "metric": "failed_tests",
    "limit": 0.0,
    "measured": 3.0,
    "unit": "failed",
}


def failing(scene: Scene, mark: str) -> Callable[[], Evidence]:
    """Return a verification of a release that finds wrong answers and keeps evidence of them."""

    def verify() -> Evidence:
        run, release = scene.run, scene.releases[mark]
        document = {
            "release": release.id, "environment": run.env.name, "endpoint": run.env.endpoint.name, "config": "c",
            "profile": "quick", "started": 0.0, "finished": 60.0, "verdict": "failed", "capacity": None, "load": [],
            "gates": [{**GATE, "verdict": "failed", "reason": "3 answers were wrong"}],
        }  # fmt: skip
        run.aws.put_json(evidence_key(release.id, run.env.name), document)
        raise GateFailed(f"{release.id} broke the SLO", fix="Correct the model.")

    return verify


def that_rolls_back(run: Run) -> Run:
    return replace(run, env=run.env.model_copy(update={"verification": Verification(on_failed="roll_back")}))


def live(scene: Scene) -> str | None:
    return release_of(endpoint_of(scene.run)["EndpointConfigName"])


def shown(status: EnvironmentStatus) -> str:
    console = Console(record=True, width=300)
    show([status], console)
    return console.export_text()


def test_it_stays_live_where_the_config_keeps_it_and_status_says_that_it_failed(stage: Stage) -> None:
    scene = stage.scene("rollback", "kept")
    one, two = scene.releases["one"], scene.releases["two"]
    with pytest.raises(GateFailed, match="broke the SLO"):
        verify_or_roll_back(two, scene.run, failing(scene, "two"))
    status = environment_status(scene.run)

    assert live(scene) == two.id
    assert status.failed == "failed verification: smoke"
    assert "failed verification: smoke" in shown(status)
    assert rollback(scene.run).release == one.id
    assert environment_status(scene.run).failed is None
    with pytest.raises(NothingToRollBackTo, match="no good release before"):
        rollback(scene.run)
    assert live(scene) == one.id, "a rollback does not put back what failed"
    assert rollback(scene.run, to=two.id).release == two.id, "a person who names it means it"
    stage.end(scene)


def test_the_release_before_is_put_back_where_the_config_says_so(stage: Stage) -> None:
    scene = stage.scene("rollback", "put back")
    one, two = scene.releases["one"], scene.releases["two"]
    with pytest.raises(GateFailed, match="broke the SLO") as failed:
        verify_or_roll_back(two, that_rolls_back(scene.run), failing(scene, "two"))

    assert live(scene) == one.id
    assert f"Release {one.id} is back" in failed.value.fix
    assert interrupted_rollback(scene.run) is None
    stage.end(scene)


def test_a_first_release_that_fails_stays_and_the_error_says_so(stage: Stage) -> None:
    scene = stage.scene("autoscale", "first")
    with pytest.raises(GateFailed) as failed:
        verify_or_roll_back(scene.releases["one"], that_rolls_back(scene.run), failing(scene, "one"))

    assert live(scene) == scene.releases["one"].id
    assert "it stays live" in failed.value.fix
    stage.end(scene)


def test_a_run_killed_while_it_puts_the_release_before_back_is_finished_by_the_next_one(stage: Stage) -> None:
    scene = stage.scene("rollback", "killed")
    one, two = scene.releases["one"], scene.releases["two"]
    deadly = that_rolls_back(stage.run_in(scene.run.env.name, Deadly, kill_at=2, is_after=True))
    assert is_killed(lambda: verify_or_roll_back(two, deadly, failing(scene, "two")))
    again = that_rolls_back(scene.run)
    with pytest.raises(GateFailed, match="broke the SLO") as failed:
        verify_or_roll_back(two, again, lambda: pytest.fail("it failed already"))

    assert live(scene) == one.id
    assert f"Release {one.id} is back" in failed.value.fix
    stage.end(scene)
