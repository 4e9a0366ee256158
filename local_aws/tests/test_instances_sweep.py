"""Instances as processes of crashed runs: the next run removes them, and nothing else."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from local_aws.instances import Launcher, process_tree
from local_aws.instances.cgroup import usable_parent
from local_aws.instances.started_resources import MARK, Record, StartedResources, scratch
from testbed.tiny_instances import (
    files_below,
    healthy,
    launching,
    process_settings,
    spec,
)

CRASHING_OWNER = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from testbed.tiny_instances import about, healthy, launching, no_control_group, spec
    from local_aws.instances.cgroup import usable_parent

    async def main():
        async with launching(Path({root!r}), {find}) as launcher:
            instance = await launcher.launch(spec())
            await healthy(instance)
            await instance.limit()
            print(instance.id, (await about(instance))["pid"], flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.starts_processes
@pytest.mark.parametrize("group", ["a control group", "no control group"])
def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path: Path, group: str) -> None:
    find = "usable_parent" if group == "a control group" else "no_control_group"
    code = textwrap.dedent(CRASHING_OWNER).format(
        tests=str(Path(__file__).parent), root=str(tmp_path), find=find
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        instance_id, pid = owner.stdout.readline().split()
        owner.send_signal(signal.SIGKILL)
    marked = process_tree.processes(Record(instance_id, "process"))
    assert int(pid) in [process.pid for process in marked]
    assert scratch(instance_id).is_dir()

    launcher = Launcher(process_settings(tmp_path))
    said = launcher.sweep()
    asyncio.run(launcher.close())

    assert len(said) == 1
    assert instance_id in said[0]
    assert not process_tree.processes(Record(instance_id, "process"))
    assert not files_below(tmp_path / "state")
    assert not scratch(instance_id).exists()
    parent = usable_parent("test")
    assert parent is None or not (parent.path / f"local-aws-{instance_id}").exists()


@pytest.mark.starts_processes
def test_a_sweep_leaves_the_instances_of_a_live_run_alone(tmp_path: Path) -> None:
    """Two runs share a state directory; a third one sweeps it, twice."""

    async def scenario() -> Any:
        async with launching(tmp_path) as first, launching(tmp_path) as second:
            instance = await first.launch(spec())
            await healthy(instance)
            said = second.sweep() + second.sweep()
            return said, await instance.ping()

    assert asyncio.run(scenario()) == ([], True)


@pytest.mark.starts_processes
@pytest.mark.parametrize("recycled", [True, False])
def test_a_process_is_killed_by_its_recorded_pid_only_if_it_started_then(
    tmp_path: Path, recycled: bool
) -> None:
    """It has neither mark nor control group; a number that has been given out again is somebody else's."""
    with subprocess.Popen(["sleep", "600"]) as bystander:
        started = 1.0 if recycled else process_tree.start_time(bystander.pid)
        crashed = StartedResources(tmp_path / "state")
        crashed.write(Record("i-0123456789abcdef0", "process", pid=bystander.pid, started=started))
        crashed.close()

        launcher = Launcher(process_settings(tmp_path))
        said = launcher.sweep()
        asyncio.run(launcher.close())
        survived = bystander.poll() is None
        bystander.kill()

    assert survived is recycled
    assert len(said) == 1
    assert not crashed.directory.exists()


@pytest.mark.starts_processes
def test_a_process_without_the_mark_is_no_part_of_an_instance() -> None:
    with subprocess.Popen(["sleep", "600"], env={MARK: "i-other"}) as other:
        found = process_tree.processes(Record("i-mine", "process"))
        mine = process_tree.processes(Record("i-other", "process"))
        other.kill()

    assert found == []
    assert [process.pid for process in mine] == [other.pid]
