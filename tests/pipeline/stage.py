"""Steps of the pipeline, each played in an environment of its own, whose clients notice if anything goes wrong."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import local_aws
from golden import Request
from pipeline.account.bootstrap import bootstrap
from pipeline.account.destroy import destroy
from pipeline.aws import AwsClient
from pipeline.errors import PipelineError
from pipeline.run import Run
from pipeline.state.lock import environment_lock
from tests.pipeline.clocks import HastyClock
from tests.pipeline.footprint import footprint
from tests.pipeline.killing import Deadly, is_killed
from tests.pipeline.scene import name_for
from tests.pipeline.steps import CAPACITY_RPS, STEPS, MakeEnv, Scene

# 0.5 s, and for a busy machine two minutes of this test's time.
DEPLOYMENT = {"bake_seconds": 120, "termination_wait_seconds": 0, "maximum_execution_seconds": 28800}


class Caller:
    """A client that keeps asking an endpoint, if there is one, and notes what it got instead of an answer."""

    def __init__(self, run: Run) -> None:
        self._aws, self._endpoint = AwsClient(run.env.aws), run.env.endpoint.name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.is_needed = self._aws.describe_endpoint(self._endpoint) is not None
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
                answer = self._aws.invoke(self._endpoint, Request(b"{}"))
                self.answers += 1
                self.errors += [f"the model answered {answer.status}"] if answer.status != 200 else []
            except PipelineError as error:
                self.errors.append(str(error))


@dataclass
class Stage:
    """A local AWS for scenes: each has an environment of its own, which is deleted afterwards."""

    cloud: local_aws.Running
    make_env: MakeEnv
    folder: Path

    deployment: Mapping[str, int] = field(default_factory=lambda: DEPLOYMENT)

    def run_in(self, name: str, kind: type[AwsClient] = AwsClient, **more: Any) -> Run:
        """Return a run in the environment of this name, by a client of this kind."""
        place = {"bucket": f"{name}-releases", "execution_role": f"{name}-role", "model_package_group": name}
        env = self.make_env(
            name=name,
            promotes_from="staging",
            endpoint={"name": name},
            deployment=self.deployment,
            aws=place,
            autoscaling={"target": 60 * CAPACITY_RPS},
        )
        return Run(env, kind(env.aws, clock=HastyClock(), **more), self.folder / name)

    def scene(self, step: str, what: str) -> Scene:
        """Return an environment in which everything is as it is before the step."""
        scene = Scene(self.run_in(name_for(f"{step} {what} {self.folder}")))
        bootstrap(scene.run)
        STEPS[step].prepare(scene)
        return scene

    def end(self, scene: Scene) -> dict[str, Any]:
        """Return what AWS has of the scene, and clear it away."""
        found = footprint(scene.run, self.cloud)
        destroy(scene.run, confirmed=scene.run.env.name)
        return found

    def play(self, step: str, kill_at: int, *, is_after: bool) -> tuple[dict[str, Any], list[str]]:
        """Return what AWS has after the step, and the writes that it took; 0: undisturbed."""
        scene = self.scene(step, f"{kill_at} {is_after}")
        name = scene.run.env.name
        run = self.run_in(name, Deadly, kill_at=kill_at, is_after=is_after)
        with Caller(scene.run) as caller:
            if kill_at:
                assert is_killed(lambda: self.do(step, scene, run)), f"{step} has no write {kill_at}"
                run = self.run_in(name, Deadly)
            self.do(step, scene, run)
        found = self.end(scene)
        assert caller.errors == []
        assert caller.answers > 0 or not caller.is_needed
        assert isinstance(run.aws, Deadly)
        return found, run.aws.writes

    def do(self, step: str, scene: Scene, run: Run) -> None:
        """Do the step, under the lock."""
        with environment_lock(run, step):
            STEPS[step].work(scene, run)
