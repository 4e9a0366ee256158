"""Instances as processes: shares of CPU and memory, by control groups or by stopping in turn."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_aws.instances import LaunchError
from local_aws.instances.cgroup import Cgroup, child, usable_parent
from local_aws.testing import wait_until_async
from testbed.tiny_instances import (
    about,
    files_below,
    healthy,
    is_gone,
    launching,
    no_control_group,
    spec,
)


@pytest.mark.starts_processes
@pytest.mark.parametrize("means", ["control group", "stop and continue"])
def test_a_limited_instance_uses_its_share_of_the_cpus_and_no_more(tmp_path: Path, means: str) -> None:
    """A fifth of a CPU: one busy second of wall time costs about 0.2 s of CPU time, and reads 200 %."""

    async def scenario() -> Any:
        find = usable_parent if means == "control group" else no_control_group
        async with launching(tmp_path, find) as launcher:
            if means == "control group" and launcher.control_group is None:
                pytest.skip("no control group can be made here")
            instance = await launcher.launch(spec())
            await healthy(instance)
            await instance.limit()
            before = (await about(instance))["cpu_seconds"]
            after = (await about(instance, "/burn?1.0"))["cpu_seconds"]
            return after - before, await instance.stats()

    used, stats = asyncio.run(scenario())

    assert 0.05 < used < 0.4  # unlimited it is the whole second
    assert 60 < stats.cpu_percent <= 200
    assert 0 < stats.memory_percent < 10


@pytest.mark.starts_processes
def test_the_control_group_holds_the_quota_and_the_lowest_weight_until_then(tmp_path: Path) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            if launcher.control_group is None:
                pytest.skip("no control group can be made here")
            if launcher.control_group.version != 1:
                pytest.skip("needs control groups of version 1")
            instance = await launcher.launch(spec())
            group = launcher.control_group.path / f"local-aws-{instance.id}"
            weight_at_start = (group / "cpu.shares").read_text()
            await healthy(instance)
            await instance.limit()
            files = ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us")
            return group, weight_at_start, [(group / name).read_text().strip() for name in files]

    group, weight_at_start, limited = asyncio.run(scenario())

    assert weight_at_start.strip() == "2"
    assert limited == ["1024", "20000", "4000"]
    assert not group.exists()


@pytest.mark.starts_processes
def test_an_instance_that_takes_more_memory_than_its_type_has_is_killed(tmp_path: Path) -> None:
    """ml.m5.large has 8 GiB; here a hundredth of that, 82 MiB, of which Python itself takes some 15."""

    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            if launcher.control_group is None or (
                launcher.control_group.version == 1 and launcher.control_group.memory is None
            ):
                pytest.skip("no control group can be made here that limits memory")
            instance = await launcher.launch(replace(spec(), memory_scale=0.01))
            await healthy(instance)
            await about(instance, "/eat?40")
            fits, percent = await instance.alive(), (await instance.stats()).memory_percent
            with pytest.raises(OSError, match=r"closed|reset|refused"):
                await about(instance, "/eat?90")
            await wait_until_async(lambda: is_gone(instance), "it is killed")
            return fits, percent, child(launcher.control_group, instance.id)

    fits, percent, group = asyncio.run(scenario())

    assert fits
    assert 50 < percent < 100
    assert not group.path.exists()
    assert group.memory is None or not group.memory.exists()


@pytest.mark.starts_processes
def test_an_instance_ends_as_it_started_without_quota_at_the_lowest_weight(tmp_path: Path) -> None:
    """Its share is for answering; tearing down within a tenth of a CPU takes longer than the grace."""

    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            if launcher.control_group is None:
                pytest.skip("no control group can be made here")
            if launcher.control_group.version != 1:
                pytest.skip("needs control groups of version 1")
            instance = await launcher.launch(spec(IGNORE_SIGTERM="1"))
            group = launcher.control_group.path / f"local-aws-{instance.id}"
            await healthy(instance)
            await instance.limit()

            async def is_unlimited() -> bool:
                return (group / "cpu.cfs_quota_us").read_text().strip() == "-1"

            assert not await is_unlimited()
            stopping = asyncio.create_task(instance.stop(grace_seconds=1.0))
            await wait_until_async(is_unlimited, "the quota is gone", seconds=0.9)
            weight = (group / "cpu.shares").read_text().strip()
            await stopping
            return weight

    assert asyncio.run(scenario()) == "2"


@pytest.mark.starts_processes
def test_a_control_group_that_cannot_be_made_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    if usable_parent("test") is None:
        pytest.skip("no control group can be made here")

    def find_nowhere(owner: str) -> Cgroup | None:
        found = usable_parent(owner)
        return found and replace(found, path=tmp_path / "nowhere")

    async def scenario() -> None:
        async with launching(tmp_path, find_nowhere) as launcher:
            with pytest.raises(LaunchError, match="nowhere"):
                await launcher.launch(spec())

    asyncio.run(scenario())

    assert not files_below(tmp_path / "state")
