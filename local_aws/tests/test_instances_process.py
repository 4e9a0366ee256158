"""Instances as processes: started, held to their share, stopped, and never outliving a crash."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local_aws.instances import Launcher, LaunchError, process_tree
from local_aws.instances.cgroup import usable_parent
from local_aws.instances.ledger import MARK, Ledger, Record, scratch
from local_aws.testing import wait_until_async
from testbed.tiny_instances import SERVE, about, files_below, healthy, process_settings, said, spec

pytestmark = pytest.mark.starts_processes


@asynccontextmanager
async def launching(root: Path, **changes: object) -> AsyncIterator[Launcher]:
    launcher = Launcher(process_settings(root, **changes))
    try:
        yield launcher
    finally:
        await launcher.close(grace_seconds=2.0)


def test_an_instance_serves_its_model_at_an_address_of_its_own(tmp_path):
    """It gets port, directory and worker count, and nothing of its owner's AWS."""
    (model := tmp_path / "unpacked").mkdir()
    (model / "weights").write_text("0.5")

    async def scenario():
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(model=model, COLOUR="green"))
            await healthy(instance)
            return await about(instance)

    os.environ["LOCAL_AWS_TIME_SCALE"] = "60"
    try:
        told = asyncio.run(scenario())
    finally:
        del os.environ["LOCAL_AWS_TIME_SCALE"]

    assert told["model"] == {"weights": "0.5"}
    assert told["environ"]["COLOUR"] == "green"
    assert told["environ"]["SAGEMAKER_MODEL_SERVER_WORKERS"] == "2"
    assert not [name for name in told["environ"] if name.startswith(("LOCAL_AWS_", "AWS_"))]
    assert not files_below(tmp_path / "state")


def test_the_models_own_worker_count_goes_before_that_of_the_instance_type(tmp_path):
    async def scenario():
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(SAGEMAKER_MODEL_SERVER_WORKERS="7"))
            await healthy(instance)
            return await about(instance)

    assert asyncio.run(scenario())["environ"]["SAGEMAKER_MODEL_SERVER_WORKERS"] == "7"


@pytest.mark.parametrize("means", ["control group", "stop and continue"])
def test_a_limited_instance_uses_its_share_of_the_cpus_and_no_more(tmp_path, means):
    """A fifth of a CPU: one busy second of wall time costs about 0.2 s of CPU time, and reads 200 %."""

    async def scenario():
        async with launching(tmp_path) as launcher:
            if means == "control group" and launcher._parent is None:
                pytest.skip("no control group can be made here")
            launcher._parent = launcher._parent if means == "control group" else None
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


def test_the_control_group_holds_the_quota_and_the_lowest_weight_until_then(tmp_path):
    async def scenario():
        async with launching(tmp_path) as launcher:
            if launcher._parent is None or launcher._parent.version != 1:
                pytest.skip("no control group of version 1 can be made here")
            instance = await launcher.launch(spec())
            group = launcher._parent.path / f"local-aws-{instance.id}"
            weight_at_start = (group / "cpu.shares").read_text()
            await healthy(instance)
            await instance.limit()
            files = ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us")
            return group, weight_at_start, [(group / name).read_text().strip() for name in files]

    group, weight_at_start, limited = asyncio.run(scenario())

    assert weight_at_start.strip() == "2"
    assert limited == ["1024", "20000", "4000"]
    assert not group.exists()


def test_an_instance_that_takes_more_memory_than_its_type_has_is_killed(tmp_path):
    """ml.m5.large has 8 GiB; here a hundredth of that, 82 MiB, of which Python itself takes some 15."""

    async def scenario():
        async with launching(tmp_path) as launcher:
            if launcher._parent is None or (
                launcher._parent.version == 1 and launcher._parent.memory is None
            ):
                pytest.skip("no control group of memory can be made here")
            instance = await launcher.launch(replace(spec(), memory_scale=0.01))
            await healthy(instance)
            await about(instance, "/eat?40")
            fits, percent = await instance.alive(), (await instance.stats()).memory_percent
            with pytest.raises(OSError, match=r"closed|reset|refused"):
                await about(instance, "/eat?90")
            await wait_until_async(lambda: _gone(instance), "it is killed")
            return fits, percent, instance._cgroup

    fits, percent, group = asyncio.run(scenario())

    assert fits
    assert 50 < percent < 100
    assert not group.path.exists()
    assert group.memory is None or not group.memory.exists()


def test_an_instance_ends_as_it_started_without_quota_at_the_lowest_weight(tmp_path):
    """Its share is for answering; tearing down within a tenth of a CPU takes longer than the grace."""

    async def scenario():
        async with launching(tmp_path) as launcher:
            if launcher._parent is None or launcher._parent.version != 1:
                pytest.skip("no control group of version 1 can be made here")
            instance = await launcher.launch(spec(IGNORE_SIGTERM="1"))
            group = launcher._parent.path / f"local-aws-{instance.id}"
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


def test_stopping_lets_the_server_drain_and_keeps_its_log(tmp_path):
    async def scenario():
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec())
            await healthy(instance)
            stopping = time.time()
            await instance.stop(grace_seconds=10.0)
            assert not scratch(instance.id).exists()
            assert stopping <= (await instance.lines())[-1].at <= time.time()
            return await instance.alive(), await instance.ping(), await said(instance)

    alive, answers, log = asyncio.run(scenario())

    assert not alive
    assert not answers
    assert log.endswith("drained\n")


def test_each_line_of_the_log_has_the_time_at_which_it_was_first_seen(tmp_path):
    """Asking again does not change it, and pings see what nobody has asked for yet."""
    script = tmp_path / "talk.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "print('first', flush=True)\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\n"
        "print('second', flush=True); print('third', flush=True); time.sleep(600)\n"
    )
    go = tmp_path / "go"

    async def scenario():
        command = (sys.executable, str(script), str(go))
        async with launching(tmp_path, process_command=command) as launcher:
            instance = await launcher.launch(spec())

            async def has(lines: int) -> bool:
                await instance.ping()
                return len(await instance.lines()) == lines

            await wait_until_async(lambda: has(1), "it has spoken")
            (first,) = await instance.lines()
            between = time.time()
            go.touch()
            await wait_until_async(lambda: has(3), "it has spoken again")
            return first, between, await instance.lines(), await instance.lines()

    first, between, lines, again = asyncio.run(scenario())

    assert [line.text for line in lines] == ["first", "second", "third"]
    assert lines[0] == first
    assert first.at < between < lines[1].at <= lines[2].at
    assert again == lines


def test_a_server_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    async def scenario():
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(IGNORE_SIGTERM="1"))
            await healthy(instance)
            await instance.stop(grace_seconds=0.2)
            return await instance.alive(), await said(instance)

    alive, log = asyncio.run(scenario())

    assert not alive
    assert "drained" not in log


def test_a_child_that_left_for_its_own_session_is_stopped_too(tmp_path):
    """Neither the process group nor the parent leads to it; its mark does."""
    script = tmp_path / "fork.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        f"os.execv(sys.executable, [sys.executable, {str(SERVE)!r}])\n"
    )

    async def scenario():
        async with launching(tmp_path, process_command=(sys.executable, str(script))) as launcher:
            launcher._parent = None  # a control group would lead to it as well
            instance = await launcher.launch(spec())
            await healthy(instance)
            child = int((await said(instance)).split()[0])
            assert psutil.pid_exists(child)
            await instance.stop()
            return child

    child = asyncio.run(scenario())

    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_strangers_answer_on_the_port_is_not_taken_for_the_instance(tmp_path):
    """`serve` has not bound its port; somebody else did, and answers 200 to everything."""

    async def stranger(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario():
        async with launching(tmp_path, process_command=("sleep", "600")) as launcher:
            instance = await launcher.launch(spec())
            port = int(instance.url.rpartition(":")[2])
            server = await asyncio.start_server(stranger, "127.0.0.1", port)
            async with server:
                answered = await launcher._pinger.ping(instance.url, 2.0)
                return answered, await instance.ping()

    answered, healthy_instance = asyncio.run(scenario())

    assert answered
    assert not healthy_instance


def test_the_port_of_an_instance_is_given_to_nobody_who_does_not_know_it(tmp_path):
    async def scenario():
        async with launching(tmp_path, process_command=("sleep", "600")) as launcher:
            instance = await launcher.launch(spec())
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(instance.url.rpartition(":")[2])))

    asyncio.run(scenario())


def test_a_command_that_does_not_exist_is_said_and_leaves_nothing(tmp_path):
    async def scenario():
        async with launching(tmp_path, process_command=("/no/such/serve",)) as launcher:
            launcher._parent = None
            instance = await launcher.launch(spec())  # nice starts, and says what it cannot find
            await wait_until_async(lambda: _gone(instance), "it has ended")
            return await said(instance)

    assert "/no/such/serve" in asyncio.run(scenario())
    assert not files_below(tmp_path / "state")


def test_a_control_group_that_cannot_be_made_is_said_and_leaves_nothing(tmp_path):
    async def scenario():
        async with launching(tmp_path) as launcher:
            if launcher._parent is None:
                pytest.skip("no control group can be made here")
            launcher._parent = replace(launcher._parent, path=tmp_path / "nowhere")
            with pytest.raises(LaunchError, match="nowhere"):
                await launcher.launch(spec())

    asyncio.run(scenario())

    assert not files_below(tmp_path / "state")


CRASHING_OWNER = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from tiny_instances import healthy, process_settings, spec
    from local_aws.instances import Launcher

    async def main():
        launcher = Launcher(process_settings(Path({root!r})))
        {no_group}
        instance = await launcher.launch(spec())
        await healthy(instance)
        await instance.limit()
        print(instance.id, instance._serve.pid, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.parametrize("group", ["a control group", "no control group"])
def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path, group):
    no_group = "" if group == "a control group" else "launcher._parent = None"
    code = textwrap.dedent(CRASHING_OWNER).format(
        tests=str(Path(__file__).parent), root=str(tmp_path), no_group=no_group
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
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


def test_a_sweep_leaves_the_instances_of_a_live_run_alone(tmp_path):
    """Two runs share a state directory; a third one sweeps it, twice."""

    async def scenario():
        async with launching(tmp_path) as first, launching(tmp_path) as second:
            instance = await first.launch(spec())
            await healthy(instance)
            said = second.sweep() + second.sweep()
            return said, await instance.ping()

    assert asyncio.run(scenario()) == ([], True)


@pytest.mark.parametrize("recycled", [True, False])
def test_a_process_is_killed_by_its_recorded_pid_only_if_it_started_then(tmp_path, recycled):
    """It has neither mark nor control group; a number that has been given out again is somebody else's."""
    with subprocess.Popen(["sleep", "600"]) as bystander:
        started = 1.0 if recycled else process_tree.start_time(bystander.pid)
        crashed = Ledger(tmp_path / "state")
        crashed.write(Record("i-0123456789abcdef0", "process", pid=bystander.pid, started=started))
        os.close(crashed._lock)

        launcher = Launcher(process_settings(tmp_path))
        said = launcher.sweep()
        asyncio.run(launcher.close())
        survived = bystander.poll() is None
        bystander.kill()

    assert survived is recycled
    assert len(said) == 1
    assert not crashed.directory.exists()


def test_a_process_without_the_mark_is_no_part_of_an_instance():
    with subprocess.Popen(["sleep", "600"], env={MARK: "i-other"}) as other:
        found = process_tree.processes(Record("i-mine", "process"))
        mine = process_tree.processes(Record("i-other", "process"))
        other.kill()

    assert found == []
    assert [process.pid for process in mine] == [other.pid]


async def _gone(instance) -> bool:
    return not await instance.alive()
