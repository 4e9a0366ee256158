"""One fleet of scripted instances: starts, failures, replacements and cancellations, without a process."""

import asyncio
from time import monotonic

import pytest

from local_aws.sagemaker.fleet import REPLACEMENT_TRIES
from local_aws.sagemaker.member import InstanceFailed
from local_aws.testing import wait_until_async
from testbed.scripted_fleet import Scene, ScriptedLauncher, play


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
        usual = 2 * max(scene.context.slowest_start.values())

        assert monotonic() - began >= 0.6 - usual
        await growing
        assert monotonic() - began >= 0.6
        await scene.fleet.close()

    play(act)


def test_one_that_is_taken_back_while_it_waits_for_its_machine_is_never_launched() -> None:
    scene = Scene(ScriptedLauncher(), provision_seconds=200)  # 2 s at scale 100

    async def act() -> None:
        scene.context.slowest_start["image"] = 0.1
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

        instance.ping = ping  # type: ignore[method-assign, assignment]
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
