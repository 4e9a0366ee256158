"""Instances as containers: the real engine, a tiny image."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from local_aws.instances import Launcher, LaunchError, TrainingSpec
from local_aws.instances.engine import LABEL
from testbed.tiny_instances import about, built, files_below, healthy, process_settings, said, spec

pytestmark = [pytest.mark.docker, pytest.mark.starts_processes]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with built() as name:
        yield name


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@asynccontextmanager
async def launching(root: Path) -> AsyncIterator[Launcher]:
    launcher = Launcher(process_settings(root, instances="docker"))
    try:
        yield launcher
    finally:
        await launcher.close(grace_seconds=2.0)


def test_a_container_serves_its_model_on_a_loopback_port(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    (model := tmp_path / "unpacked").mkdir()
    (model / "weights").write_text("0.5")

    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(image, model=model, COLOUR="green"))
            await healthy(instance)
            [container] = engine.containers.list(filters={"label": f"{LABEL}={instance.id}"})
            return instance.id, await about(instance), container.attrs

    instance_id, told, attributes = asyncio.run(scenario())

    assert told["model"] == {"weights": "0.5"}
    assert told["environ"]["COLOUR"] == "green"
    assert told["environ"]["SAGEMAKER_MODEL_SERVER_WORKERS"] == "2"
    assert [one["HostIp"] for one in attributes["NetworkSettings"]["Ports"]["8080/tcp"]] == ["127.0.0.1"]
    assert attributes["HostConfig"]["Memory"] == 8 * 2**30
    assert attributes["Mounts"][0]["RW"] is False
    assert not engine.containers.list(all=True, filters={"label": f"{LABEL}={instance_id}"})
    assert not files_below(tmp_path / "state")


def test_a_container_starts_at_the_lowest_weight_and_is_then_held_to_its_share(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(image))
            [container] = engine.containers.list(filters={"label": f"{LABEL}={instance.id}"})
            at_start = container.attrs["HostConfig"]["CpuShares"]
            await healthy(instance)
            await instance.limit()
            container.reload()
            before = (await about(instance))["cpu_seconds"]
            after = (await about(instance, "/burn?1.0"))["cpu_seconds"]
            return at_start, container.attrs["HostConfig"], after - before, await instance.stats()

    at_start, limits, used, stats = asyncio.run(scenario())

    assert at_start == 2
    assert (limits["CpuPeriod"], limits["CpuQuota"], limits["CpuShares"]) == (20_000, 4_000, 1024)
    assert 0.05 < used < 0.4  # unlimited it is the whole second
    assert 60 < stats.cpu_percent <= 200
    assert 0 < stats.memory_percent < 10


def test_stopping_lets_the_container_drain_and_keeps_its_log(tmp_path: Path, image: str) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(image))
            await healthy(instance)
            stopping = time.time()
            await instance.stop(grace_seconds=10.0)
            assert stopping - 1 < (await instance.lines())[-1].at <= time.time(), "the engine's own time"
            return await instance.alive(), await instance.ping(), await said(instance)

    alive, answers, log = asyncio.run(scenario())

    assert not alive
    assert not answers
    assert log.endswith("drained\n")


def test_a_container_that_dies_is_not_alive(tmp_path: Path, image: str, engine: docker.DockerClient) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(image))
            await healthy(instance)
            [container] = engine.containers.list(filters={"label": f"{LABEL}={instance.id}"})
            container.kill()
            container.wait(timeout=10)
            return await instance.alive(), await instance.ping(), await instance.stats()

    alive, answers, stats = asyncio.run(scenario())

    assert not alive
    assert not answers
    assert stats.cpu_percent == 0.0


@pytest.mark.parametrize("missing", ["nobody-has-this:1", "127.0.0.1:9/nobody/listens:1"])
def test_an_image_that_cannot_be_had_is_named_and_leaves_nothing(tmp_path: Path, missing: str) -> None:
    async def scenario() -> None:
        async with launching(tmp_path) as launcher:
            with pytest.raises(LaunchError, match=missing):
                await launcher.launch(spec(missing))

    asyncio.run(scenario())

    assert not files_below(tmp_path / "state")


def test_an_image_of_another_architecture_ends_at_once_and_its_log_says_why(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    """The image is this machine's; the type has the other architecture."""
    ours = engine.images.get(image).attrs["Architecture"]
    kind = "ml.m5.large" if ours == "arm64" else "ml.c7g.large"

    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(replace(spec(image), instance_type=kind))
            await instance.limit()
            answers = await instance.ping(), await instance.alive(), await said(instance)
            await instance.stop()
            return *answers, await said(instance)

    assert asyncio.run(scenario()) == (False, False, *["exec serve: exec format error\n"] * 2)


def test_training_with_an_image_of_another_architecture_fails(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    ours = engine.images.get(image).attrs["Architecture"]
    kind = "ml.m5.large" if ours == "arm64" else "ml.c7g.large"

    async def scenario() -> None:
        async with launching(tmp_path) as launcher:
            training = launcher.training(TrainingSpec(image, {}, kind))
            with pytest.raises(LaunchError, match="exec format error"):
                await training.run()

    asyncio.run(scenario())


CRASHING_OWNER = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from testbed.tiny_instances import process_settings, spec
    from local_aws.instances import Launcher

    async def main():
        instance = await Launcher(process_settings(Path({root!r}), instances="docker")).launch(spec({image!r}))
        print(instance.id, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


def test_the_container_of_a_killed_run_is_swept_and_that_of_a_live_run_is_not(
    tmp_path: Path, image: str, engine: docker.DockerClient
) -> None:
    """The next run may even be one whose own instances are processes."""
    code = textwrap.dedent(CRASHING_OWNER).format(
        tests=str(Path(__file__).parent), root=str(tmp_path), image=image
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        left = owner.stdout.readline().strip()
        owner.send_signal(signal.SIGKILL)
    assert engine.containers.list(filters={"label": f"{LABEL}={left}"})

    async def scenario() -> Any:
        async with launching(tmp_path) as live:
            instance = await live.launch(spec(image))
            sweeper = Launcher(process_settings(tmp_path))
            said = sweeper.sweep()
            await sweeper.close()
            return said, await instance.alive()

    said, alive = asyncio.run(scenario())

    assert len(said) == 1
    assert left in said[0]
    assert not engine.containers.list(all=True, filters={"label": f"{LABEL}={left}"})
    assert alive


def test_what_cannot_be_removed_now_stays_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is away when the next run starts: it says so, and the one after tries again."""
    from local_aws.instances.started_resources import Record, StartedResources, read_records

    crashed = StartedResources(tmp_path / "state")
    crashed.write(Record("i-00000000000000000", "container"))
    crashed.close()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    launcher = Launcher(process_settings(tmp_path))
    said = launcher.sweep()
    still_there = read_records(crashed.directory)
    monkeypatch.delenv("DOCKER_HOST")
    launcher.sweep()
    asyncio.run(launcher.close())

    assert "could not remove the container i-00000000000000000" in said[0]
    assert len(still_there) == 1
    assert not crashed.directory.exists()
