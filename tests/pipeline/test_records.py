"""Records of steps and deployments: one file for each successful step, one record for each deployment."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Environment
from pipeline.model import Model
from pipeline.promotion.rollback_target import earlier_releases
from pipeline.run import Run
from pipeline.state.records import (
    DeploymentRecord,
    deployments,
    last_deployment,
    record_deployment,
    record_step,
)


class Bucket:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def put_json(self, key: str, document: Any) -> None:
        self.objects[key] = document

    def get_json(self, key: str) -> Any | None:
        return self.objects.get(key)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


class Result(Model):
    found: int


def deployment(letter: str, at: float) -> DeploymentRecord:
    release = f"{letter * 12}-{letter * 8}"
    return DeploymentRecord(
        environment="staging",
        endpoint="e",
        release=release,
        config=f"e-{release}",
        in_service_at=at,
        run_url=None,
    )


@pytest.fixture
def run(env: Environment, tmp_path: Path) -> Run:
    return Run.for_environment(env, tmp_path)


def test_a_step_leaves_its_times_calls_and_result(run: Run) -> None:
    run.aws.made.append("before")

    def work() -> Result:
        run.aws.made.append("create endpoint e")
        return Result(found=3)

    record_step(run, "deploy", work)
    written = json.loads((run.build / "staging" / "deploy.json").read_text())

    assert (written["schema"], written["step"], written["environment"]) == (1, "deploy", "staging")
    assert written["calls"] == ["create endpoint e"]
    assert written["result"] == {"found": 3}
    assert written["seconds"] == pytest.approx(written["finished"] - written["started"], abs=0.01)


def test_a_step_that_failed_leaves_nothing(run: Run) -> None:
    """Whoever reads the file may rely on its result."""

    def work() -> Result:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        record_step(run, "deploy", work)
    assert not (run.build / "staging" / "deploy.json").exists()


def test_a_failed_step_takes_the_record_of_an_earlier_run_away(run: Run) -> None:
    record_step(run, "deploy", lambda: Result(found=1))

    def work() -> Result:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        record_step(run, "deploy", work)
    assert not (run.build / "staging" / "deploy.json").exists()


def test_deployments_are_kept_in_the_order_of_their_time() -> None:
    bucket = Bucket()
    for record in (deployment("b", 2_000_000_000.5), deployment("a", 9.25)):
        record_deployment(bucket, record)

    assert [record.release[0] for record in deployments(bucket, "staging")] == ["a", "b"]
    assert last_deployment(bucket, "staging") == deployment("b", 2_000_000_000.5)
    assert last_deployment(bucket, "production") is None


@pytest.mark.parametrize(
    ("history", "live", "previous"),
    [
        ("", None, None),
        ("a", "a", None),
        ("ab", "b", "a"),
        ("aba", "a", "b"),
        ("abb", "b", "a"),
        ("ab", "a", "b"),
        ("ab", None, "b"),
    ],
)
def test_the_previous_release_is_the_newest_that_is_not_live(
    history: str, live: str | None, previous: str | None
) -> None:
    records = [deployment(letter, at) for at, letter in enumerate(history)]
    ids = {letter: f"{letter * 12}-{letter * 8}" for letter in "ab"}

    before = next(iter(earlier_releases(records, live and ids[live])), None)

    assert before == (previous and ids[previous])
