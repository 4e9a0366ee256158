"""A fleet on a scripted launcher."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from local_aws.clock import Clock
from local_aws.instances import InstanceSpec, LaunchError, Line, ModelDataError, Stats
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.member import FleetContext, LaunchTemplate
from local_aws.sagemaker.resources import ProductionVariant
from local_aws.settings import Settings

VARIANT = ProductionVariant("A", "model", "ml.m5.large", 1, 1.0, "RANDOM", None)


class ScriptedInstance:
    """Healthy while `well`, running while `running`."""

    def __init__(self, number: int, *, well: bool, running: bool) -> None:
        self.id, self.url = f"i-{number}", f"http://i-{number}"
        self.well, self.running = well, running
        self.limited = self.stopped = False

    async def alive(self) -> bool:
        return self.running

    async def ping(self, _timeout: float = 2.0) -> bool:
        return self.well and self.running

    async def limit(self) -> None:
        self.limited = True

    async def stop(self, _grace_seconds: float = 30.0) -> None:
        self.stopped, self.running = True, False

    async def lines(self) -> tuple[Line, ...]:
        last = [Line(2.0, "last words")] if self.stopped else []
        return (Line(1.0, f"words of {self.id}"), *last)

    async def stats(self) -> Stats:
        return Stats(0, 0)


class ScriptedLauncher:
    """Launches what the script says: "well", "sick" (never healthy), "dead" (exits), or "none" (no launch)."""

    def __init__(self, *script: str, seconds: float = 0.0) -> None:
        self.script, self.seconds = list(script), seconds
        self.launched: list[ScriptedInstance] = []
        self.begun = 0

    async def launch(self, _spec: InstanceSpec) -> ScriptedInstance:
        kind = self.script.pop(0) if self.script else "well"
        self.begun += 1
        await asyncio.sleep(self.seconds)
        if kind == "none":
            raise LaunchError("there is no room")
        instance = ScriptedInstance(len(self.launched), well=kind == "well", running=kind != "dead")
        self.launched.append(instance)
        return instance


class Scene:
    """A fleet on a scripted launcher, with everything it told its context."""

    def __init__(self, launcher: ScriptedLauncher, *, data: str | None = None, **settings: Any) -> None:
        values = {
            "ping_interval_seconds": 0.01,
            "unhealthy_after": 2,
            "startup_timeout_seconds": 0.3,
            **settings,
        }
        self.launcher = launcher
        self.logs: list[str] = []
        self.routes: list[int] = []
        self.context = FleetContext(launcher, Settings(**values), Clock(100), self._unpack, self._keep_logs)
        spec = InstanceSpec("digits", "A", "config", "image", {}, None, "ml.m5.large", 1.0)
        template = LaunchTemplate(spec, data, self.context.settings.startup_timeout_seconds)
        self.fleet = Fleet(
            VARIANT, template, self.context, lambda: self.routes.append(len(self.fleet.healthy))
        )

    def _unpack(self, source: Any) -> Path:
        raise ModelDataError(f"no object at {source}")

    async def _keep_logs(self, _spec: InstanceSpec, _instance_id: str, lines: Sequence[Line]) -> None:
        self.logs += [line.text for line in lines]

    @property
    def running(self) -> int:
        return sum(instance.running for instance in self.launcher.launched)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 10))
