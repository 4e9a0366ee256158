"""Steps of the pipeline, and what is there before each of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.autoscaling.autoscale import AutoscaleResult, autoscale
from pipeline.autoscaling.policies import resource
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.aws import AwsClient
from pipeline.config import Autoscaling, Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.observe import require_live
from pipeline.errors import SmokeFailed
from pipeline.promotion.promote import PromoteResult, RunSmoke, promote
from pipeline.promotion.rollback import rollback
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.smoke import SmokeResult
from tests.pipeline.scene import published, scale_to

MakeEnv = Callable[..., Environment]
CAPACITY_RPS = 1e6  # so that no client here moves the fleet
UP = {
    "name": "slow",
    "metric": "ModelLatency",
    "statistic": "p90",
    "direction": "above",
    "adjustment": "instances",
    "changes": [{"at": 60_000_000, "change": 1}],
}
DOWN = UP | {
    "name": "cold",
    "metric": "CPUUtilization",
    "namespace": "/aws/sagemaker/Endpoints",
    "statistic": "Average",
    "direction": "below",
    "changes": [{"at": -1, "change": -1}],
}
NIGHTS = {"name": "nights", "schedule": "cron(0 22 1 1 ? 2099)"}
NIGHT = {
    "ScheduledActionName": "night",
    "Schedule": "cron(0 22 * * ? *)",
    "ScalableTargetAction": {"MinCapacity": 2},
}


@dataclass
class Scene:
    """An environment of its own, with its own bucket."""

    run: Run
    releases: dict[str, Release] = field(default_factory=dict)

    def publish(self, *marks: str) -> None:
        for mark in marks:
            self.releases[mark] = published(self.run, self.run.build, mark)

    def deploy(self, mark: str, run: Run | None = None) -> None:
        deploy(self.releases[mark], run or self.run)

    def autoscale(self, mark: str, run: Run | None = None) -> AutoscaleResult:
        require_live(self.releases[mark], run or self.run)
        return autoscale(run or self.run, MeasuredCapacity(CAPACITY_RPS))


def bare(_: Scene) -> None: ...


def publish_two(scene: Scene) -> None:
    scene.publish("one", "two")


def put_one_live(scene: Scene) -> None:
    publish_two(scene)
    scene.deploy("one")


def put_one_live_scaled_out(scene: Scene) -> None:
    put_one_live(scene)
    scale_to(3, scene.run)


def put_one_live_scaled(scene: Scene) -> None:
    put_one_live(scene)
    scene.autoscale("one")
    scene.run.aws.read("application-autoscaling", "put_scheduled_action", **resource(scene.run.env), **NIGHT)


def put_two_live(scene: Scene) -> None:
    put_one_live(scene)
    scene.deploy("two")


def change_type(scene: Scene, run: Run) -> None:
    larger = run.env.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})
    scene.deploy("one", replace(run, env=run.env.model_copy(update={"endpoint": larger})))


def scale_in_every_way(scene: Scene, run: Run) -> AutoscaleResult:
    """By invocations, by concurrency, in steps both ways, and by the clock."""
    every_way = {"concurrency_target": 1e6, "steps": [UP, DOWN], "schedule": [{**NIGHTS, "max_instances": 3}]}
    scaling = Autoscaling.model_validate({**run.env.autoscaling.model_dump(), **every_way})
    return scene.autoscale("one", replace(run, env=run.env.model_copy(update={"autoscaling": scaling})))


def roll_back(scene: Scene, run: Run) -> None:
    rollback(run)


def roll_back_to_one(scene: Scene, run: Run) -> None:
    rollback(run, to=scene.releases["one"].id)


def verify_two(scene: Scene) -> None:
    """Two has PASSED where it comes from, and one is live where it goes to."""
    put_one_live(scene)
    keep_evidence(scene.releases["two"], scene.run.aws)


def keep_evidence(release: Release, aws: AwsClient) -> None:
    """Have a release PASSED in staging, an hour ago."""
    place = {"release": release.id, "environment": "staging", "endpoint": "digits-staging", "config": "c"}
    gate = {"name": "latency", "metric": "p99_ms", "limit": 500.0, "measured": 40.0, "unit": "ms"}
    hour_ago = time.time() - 3600
    found = Evidence.model_validate(
        {
            **place,
            "profile": "quick",
            "started": hour_ago - 60,
            "finished": hour_ago,
            "verdict": "passed",
            "gates": [{**gate, "verdict": "passed", "reason": "as measured"}],
            "capacity": None,
            "load": [],
        }
    )
    aws.put_json(evidence_key(release.id, "staging"), found.document())


def smoke(passes: bool = True) -> RunSmoke:
    """Return a smoke test of one case, with a known result."""

    def run_smoke(release: Release, run: Run, golden: Path) -> SmokeResult:
        return SmokeResult(1, () if passes else ("an answer: was wrong",), 0.1, run.build / "smoke.xml")

    return run_smoke


def promote_two(scene: Scene, run: Run, *, passes: bool = True) -> PromoteResult:
    return promote(scene.releases["two"], run, smoke=smoke(passes=passes))


def promote_in_vain(scene: Scene, run: Run) -> None:
    """Its answers are wrong: the release before is put back."""
    with pytest.raises(SmokeFailed):
        promote_two(scene, run, passes=False)


@dataclass(frozen=True)
class Step:
    """A step and its preparation.

    `finished_by`: the writes from the end at which it is done, so that to run it again is another step; 0: it can be
    repeated.
    """

    prepare: Callable[[Scene], object]
    work: Callable[[Scene, Run], object]
    finished_by: int = 0

    def numbers(self, writes: int, *, is_after: bool) -> range:
        """Return the writes at which to kill, the first one being 1."""
        return range(1, writes + 1 - (self.finished_by - (not is_after) if self.finished_by else 0))


STEPS: Mapping[str, Step] = {
    "publish": Step(bare, lambda _, run: published(run, run.build, "one")),
    "first-deploy": Step(publish_two, lambda scene, run: scene.deploy("one", run)),
    "deploy": Step(put_one_live_scaled_out, lambda scene, run: scene.deploy("two", run)),
    "change-of-type": Step(put_one_live_scaled, change_type),
    "autoscale": Step(put_one_live, lambda scene, run: scene.autoscale("one", run)),
    "autoscale-every-way": Step(put_one_live, scale_in_every_way),
    "rollback": Step(put_two_live, roll_back, finished_by=2),  # it forgets where it goes, and unlocks
    "promote": Step(verify_two, promote_two),
    # It forgets that it is being undone, keeps how it ended, and unlocks: then a promotion would begin anew.
    "promote-in-vain": Step(verify_two, promote_in_vain, finished_by=3),
    "rollback-to": Step(put_two_live, roll_back_to_one),
}
