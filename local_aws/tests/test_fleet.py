"""One fleet of scripted instances: starts, failures, replacements and cancellations, without a process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from local_aws.clock import Clock
from local_aws.instances import InstanceSpec, LaunchError, Line, ModelDataError, Stats
from local_aws.sagemaker.fleet import REPLACEMENT_TRIES, Fleet
from local_aws.sagemaker.member import Blueprint, InstanceFailed, Surroundings
from local_aws.sagemaker.resources import ProductionVariant
from local_aws.settings import Settings
from local_aws.testing import wait_until_async

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
    """A fleet on a scripted launcher, with everything it told its world."""

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
        self.world = Surroundings(launcher, Settings(**values), Clock(100), self._unpack, self._keep_logs)
        spec = InstanceSpec("digits", "A", "config", "image", {}, None, "ml.m5.large", 1.0)
        blueprint = Blueprint(spec, data, self.world.settings.startup_timeout_seconds)
        self.fleet = Fleet(
            VARIANT, blueprint, self.world, lambda: self.routes.append(len(self.fleet.healthy))
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


def test_an_instance_takes_traffic_once_it_is_healthy_and_limited() -> None:
    scene = Scene(ScriptedLauncher())

    async def act() -> None:
        await scene.fleet.reach(2)

        assert [upstream.instance_id for upstream in scene.fleet.healthy] == ["i-0", "i-1"]
        assert all(instance.limited for instance in scene.launcher.launched)
        assert scene.routes[-1] == 2
        assert scene.logs == ["words of i-0", "words of i-1"], "what it wrote while it started is there"
        await scene.fleet.close()
        assert (scene.running, scene.fleet.healthy) == (0, ())
        assert scene.logs[2:] == ["last words", "last words"], "and nothing twice"

    play(act)


def test_the_provisioning_delay_includes_the_real_start() -> None:
    scene = Scene(ScriptedLauncher(seconds=0.1), provision_seconds=30)  # 0.3 s at scale 100

    async def act() -> None:
        began = monotonic()
        await scene.fleet.reach(1)

        assert 0.3 <= monotonic() - began < 0.4
        await scene.fleet.close()

    play(act)


def test_once_it_is_known_how_long_a_start_takes_it_comes_at_the_end_of_the_delay() -> None:
    """As on AWS, where the container is started when its machine is there."""
    scene = Scene(ScriptedLauncher(seconds=0.01), provision_seconds=60)  # 0.6 s at scale 100

    async def act() -> None:
        await scene.fleet.reach(1)
        began, growing = monotonic(), asyncio.create_task(scene.fleet.reach(2))
        await wait_until_async(lambda: scene.launcher.begun == 2, "two launches begin")
        usual = 2 * max(scene.world.slowest_start.values())

        assert monotonic() - began >= 0.6 - usual
        await growing
        assert monotonic() - began >= 0.6
        await scene.fleet.close()

    play(act)


def test_one_that_is_taken_back_while_it_waits_for_its_machine_is_never_launched() -> None:
    scene = Scene(ScriptedLauncher(), provision_seconds=200)  # 2 s at scale 100

    async def act() -> None:
        scene.world.slowest_start["image"] = 0.1
        growing = asyncio.create_task(scene.fleet.reach(1))
        await wait_until_async(lambda: len(scene.fleet.members) == 1, "one member waits")
        growing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await growing

        assert (scene.launcher.begun, scene.fleet.members) == (0, ())
        assert scene.logs == []

    play(act)


@pytest.mark.parametrize(("provision_seconds", "overrun"), [(1, True), (60, False), (0, False)])
def test_a_start_that_takes_longer_than_the_provisioning_delay_is_reported(
    provision_seconds: float, overrun: bool
) -> None:
    """The launch takes 0.1 s: 10 AWS seconds at scale 100."""
    scene = Scene(ScriptedLauncher(seconds=0.1), provision_seconds=provision_seconds)

    async def act() -> None:
        await scene.fleet.reach(1)
        (member,) = scene.fleet.members

        assert (member.overrun_seconds > 8) is overrun
        await scene.fleet.close()

    play(act)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("sick", "ping health check"), ("dead", "ping health check"), ("none", "there is no room")],
)
def test_one_that_does_not_come_takes_back_those_started_beside_it(kind: str, sentence: str) -> None:
    scene = Scene(ScriptedLauncher("well", "well", kind))

    async def act() -> None:
        await scene.fleet.reach(1)
        with pytest.raises(InstanceFailed, match=sentence):
            await scene.fleet.reach(3)

        assert scene.fleet.desired == 1
        assert (scene.running, len(scene.fleet.healthy)) == (1, 1)
        await scene.fleet.close()

    play(act)


def test_model_data_that_is_not_there_starts_nothing() -> None:
    scene = Scene(ScriptedLauncher(), data="s3://nowhere/model.tar.gz")

    async def act() -> None:
        with pytest.raises(InstanceFailed, match="no object at s3://nowhere"):
            await scene.fleet.reach(1)

        assert scene.launcher.launched == []

    play(act)


def test_cancelling_a_launch_leaves_no_instance() -> None:
    scene = Scene(ScriptedLauncher(seconds=0.1))

    async def act() -> None:
        starting = asyncio.create_task(scene.fleet.reach(2))
        await wait_until_async(lambda: scene.launcher.begun == 2, "two launches begin")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

        assert len(scene.launcher.launched) == 2
        assert (scene.running, scene.fleet.members) == (0, ())

    play(act)


@pytest.mark.parametrize("failing", ["well", "running"])
def test_one_that_fails_in_service_is_taken_out_and_replaced(failing: str) -> None:
    scene = Scene(ScriptedLauncher())

    async def act() -> None:
        await scene.fleet.reach(2)
        setattr(scene.launcher.launched[0], failing, False)
        await wait_until_async(
            lambda: len(scene.launcher.launched) == 3 and len(scene.fleet.healthy) == 2,
            "the failing one is replaced",
        )

        assert [upstream.instance_id for upstream in scene.fleet.healthy] == ["i-1", "i-2"]
        assert 1 in scene.routes  # out of the traffic before the other one came
        await wait_until_async(lambda: scene.launcher.launched[0].stopped, "the failing one is stopped")
        await scene.fleet.close()
        assert scene.running == 0

    play(act)


def test_one_missed_ping_is_forgiven() -> None:
    scene = Scene(ScriptedLauncher())

    async def act() -> None:
        await scene.fleet.reach(1)
        (instance,) = scene.launcher.launched
        pings = [False, True, False, True, True, True]

        async def ping() -> bool:
            return pings.pop(0) if pings else True

        instance.ping = ping
        await wait_until_async(lambda: not pings, "it is pinged")

        assert len(scene.launcher.launched) == 1
        await scene.fleet.close()

    play(act)


def test_replacing_is_given_up_after_some_tries_and_says_why() -> None:
    scene = Scene(ScriptedLauncher("well", *["dead"] * REPLACEMENT_TRIES))

    async def act() -> None:
        await scene.fleet.reach(1)
        scene.launcher.launched[0].running = False
        await wait_until_async(
            lambda: len(scene.launcher.launched) == 1 + REPLACEMENT_TRIES, "all replacements are tried"
        )
        await wait_until_async(lambda: scene.fleet.members == (), "the last one is gone")

        assert "ping health check" in str(scene.fleet.trouble)
        assert scene.fleet.desired == 1
        await scene.fleet.reach(1)
        assert len(scene.fleet.healthy) == 1
        await scene.fleet.close()

    play(act)


def test_closing_while_a_replacement_starts_leaves_nothing() -> None:
    scene = Scene(ScriptedLauncher())

    async def act() -> None:
        await scene.fleet.reach(1)
        scene.launcher.seconds = 0.1
        scene.launcher.launched[0].running = False
        await wait_until_async(
            lambda: len(scene.fleet.healthy) == 0 and len(scene.fleet.members) == 1, "a replacement starts"
        )
        await scene.fleet.close()

        assert scene.running == 0
        assert len(scene.launcher.launched) == 2

    play(act)
