"""Steps of the pipeline, each played in an environment of its own, whose clients notice if anything goes wrong."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.account.destroy import destroy
from pipeline.autoscaling.autoscale import AutoscaleResult, autoscale
from pipeline.autoscaling.policies import resource
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.aws import Aws
from pipeline.config import Autoscaling, Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.observe import require_live
from pipeline.errors import PipelineError, SmokeFailed
from pipeline.promotion.promote import PromoteResult, RunSmoke, promote
from pipeline.promotion.rollback import rollback
from pipeline.release import Release
from pipeline.state.lock import environment_lock
from pipeline.state.records import Say
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.smoke import SmokeResult
from tests.pipeline.footprint import footprint
from tests.pipeline.killing import Deadly, is_killed
from tests.pipeline.scene import name_for, published, quiet, scale_to

MakeEnv = Callable[..., Environment]
# 0.5 s, and for a busy machine two minutes of this test's time.
DEPLOYMENT = {"bake_seconds": 120, "termination_wait_seconds": 0, "maximum_execution_seconds": 28800}
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

    aws: Aws
    folder: Path
    releases: dict[str, Release] = field(default_factory=dict)

    def publish(self, *marks: str) -> None:
        for mark in marks:
            self.releases[mark] = published(self.aws, self.folder, mark)

    def deploy(self, mark: str, aws: Aws | None = None) -> None:
        door = aws or self.aws
        deploy(self.releases[mark], door.env, door, self.folder / "build", quiet)

    def autoscale(self, mark: str, aws: Aws | None = None) -> AutoscaleResult:
        door = aws or self.aws
        require_live(self.releases[mark], door.env, door)
        return autoscale(door.env, door, MeasuredCapacity(CAPACITY_RPS), quiet)


def bare(_: Scene) -> None: ...


def publish_two(scene: Scene) -> None:
    scene.publish("one", "two")


def put_one_live(scene: Scene) -> None:
    publish_two(scene)
    scene.deploy("one")


def put_one_live_scaled_out(scene: Scene) -> None:
    put_one_live(scene)
    scale_to(3, scene.aws)


def put_one_live_scaled(scene: Scene) -> None:
    put_one_live(scene)
    scene.autoscale("one")
    scene.aws.read("application-autoscaling", "put_scheduled_action", **resource(scene.aws.env), **NIGHT)


def put_two_live(scene: Scene) -> None:
    put_one_live(scene)
    scene.deploy("two")


def change_type(scene: Scene, door: Aws) -> None:
    larger = door.env.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})
    door.env = door.env.model_copy(update={"endpoint": larger})
    scene.deploy("one", door)


def scale_in_every_way(scene: Scene, door: Aws) -> AutoscaleResult:
    """By invocations, by concurrency, in steps both ways, and by the clock."""
    every_way = {"concurrency_target": 1e6, "steps": [UP, DOWN], "schedule": [{**NIGHTS, "max_instances": 3}]}
    scaling = Autoscaling.model_validate({**door.env.autoscaling.model_dump(), **every_way})
    door.env = door.env.model_copy(update={"autoscaling": scaling})
    return scene.autoscale("one", door)


def roll_back(scene: Scene, door: Aws) -> None:
    rollback(door.env, door, scene.folder / "build", quiet)


def roll_back_to_one(scene: Scene, door: Aws) -> None:
    rollback(door.env, door, scene.folder / "build", quiet, to=scene.releases["one"].id)


def verify_two(scene: Scene) -> None:
    """Two has PASSED where it comes from, and one is live where it goes to."""
    put_one_live(scene)
    keep_evidence(scene.releases["two"], scene.aws)


def keep_evidence(release: Release, aws: Aws) -> None:
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
    """A smoke test of one case, whose end is known."""

    def run(release: Release, env: Environment, build: Path, golden: Path, say: Say) -> SmokeResult:
        return SmokeResult(1, () if passes else ("an answer: was wrong",), 0.1, build / "smoke.xml")

    return run


def promote_two(scene: Scene, door: Aws, *, passes: bool = True) -> PromoteResult:
    build = scene.folder / "build"
    return promote(scene.releases["two"], door.env, door, build, quiet, smoke=smoke(passes=passes))


def promote_in_vain(scene: Scene, door: Aws) -> None:
    """Its answers are wrong: the release before is put back."""
    with pytest.raises(SmokeFailed):
        promote_two(scene, door, passes=False)


@dataclass(frozen=True)
class Step:
    """What is there before, and the step itself. `finished_by`: the writes from the end at which it is done, so
    that to run it again is to ask for something else; 0: it can be asked for twice.
    """

    prepare: Callable[[Scene], object]
    work: Callable[[Scene, Aws], object]
    finished_by: int = 0

    def numbers(self, writes: int, *, is_after: bool) -> range:
        """The writes to be killed at, the first one being 1."""
        return range(1, writes + 1 - (self.finished_by - (not is_after) if self.finished_by else 0))


STEPS: Mapping[str, Step] = {
    "publish": Step(bare, lambda scene, door: published(door, scene.folder, "one")),
    "first-deploy": Step(publish_two, lambda scene, door: scene.deploy("one", door)),
    "deploy": Step(put_one_live_scaled_out, lambda scene, door: scene.deploy("two", door)),
    "change-of-type": Step(put_one_live_scaled, change_type),
    "autoscale": Step(put_one_live, lambda scene, door: scene.autoscale("one", door)),
    "autoscale-every-way": Step(put_one_live, scale_in_every_way),
    "rollback": Step(put_two_live, roll_back, finished_by=2),  # it forgets where it goes, and unlocks
    "promote": Step(verify_two, promote_two),
    # It forgets that it is being undone, keeps how it ended, and unlocks: then a promotion would begin anew.
    "promote-in-vain": Step(verify_two, promote_in_vain, finished_by=3),
    "rollback-to": Step(put_two_live, roll_back_to_one),
}


class Caller:
    """A client that keeps asking an endpoint, if there is one, and notes what it got instead of an answer."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._ended = Aws(aws.env), threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.is_needed = aws.describe_endpoint(aws.env.endpoint.name) is not None
        self.answers, self.errors = 0, list[str]()

    def __enter__(self) -> "Caller":
        if self.is_needed:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self.is_needed:
            self._thread.join(60)

    def _ask(self) -> None:
        while not self._ended.wait(0.01):
            try:
                self._aws.invoke(self._aws.env.endpoint.name, b"{}")
                self.answers += 1
            except PipelineError as error:
                self.errors.append(str(error))


@dataclass
class Stage:
    """Where scenes are played: each in an environment of its own, gone afterwards."""

    cloud: local_aws.Running
    make_env: MakeEnv
    folder: Path

    deployment: Mapping[str, int] = field(default_factory=lambda: DEPLOYMENT)

    def door(self, name: str, kind: type[Aws] = Aws, **more: Any) -> Any:
        place = {"bucket": f"{name}-releases", "execution_role": f"{name}-role", "model_package_group": name}
        env = self.make_env(
            name=name,
            promotes_from="staging",
            endpoint={"name": name},
            deployment=self.deployment,
            aws=place,
            autoscaling={"target": 60 * CAPACITY_RPS},
        )
        return kind(env, sleep=lambda seconds: time.sleep(seconds / 10), **more)

    def scene(self, step: str, what: str) -> Scene:
        """An environment in which everything is as it is before the step."""
        name = name_for(f"{step} {what} {self.folder}")
        scene = Scene(self.door(name), self.folder / name)
        bootstrap(scene.aws.env, scene.aws, quiet)
        STEPS[step].prepare(scene)
        return scene

    def end(self, scene: Scene) -> dict[str, Any]:
        """Return what AWS has of the scene, and clear it away."""
        found = footprint(scene.aws, self.cloud)
        destroy(scene.aws.env, scene.aws, quiet, confirmed=scene.aws.env.name)
        return found

    def play(self, step: str, kill_at: int, *, is_after: bool) -> tuple[dict[str, Any], list[str]]:
        """Return what AWS has after the step, and the writes that it took; 0: undisturbed."""
        scene = self.scene(step, f"{kill_at} {is_after}")
        name = scene.aws.env.name
        deadly: Deadly = self.door(name, Deadly, kill_at=kill_at, is_after=is_after)
        with Caller(scene.aws) as caller:
            if kill_at:
                assert is_killed(lambda: self.run(step, scene, deadly)), f"{step} has no write {kill_at}"
                deadly = self.door(name, Deadly)
            self.run(step, scene, deadly)
        found = self.end(scene)
        assert caller.errors == []
        assert caller.answers > 0 or not caller.is_needed
        return found, deadly.writes

    def run(self, step: str, scene: Scene, door: Aws) -> None:
        with environment_lock(door.env, door, step, quiet):
            STEPS[step].work(scene, door)
