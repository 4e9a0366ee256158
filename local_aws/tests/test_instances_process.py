"""Instances as processes: started, asked, stopped; nothing of them is left."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_aws.instances import LaunchError
from local_aws.instances.cgroup import Cgroup, usable_parent
from local_aws.instances.health import Pinger
from local_aws.instances.started_resources import scratch
from local_aws.testing import wait_until_async
from testbed.tiny_instances import (
    SERVE,
    about,
    files_below,
    healthy,
    launching,
    no_control_group,
    said,
    spec,
)

pytestmark = pytest.mark.starts_processes


def test_an_instance_serves_its_model_at_an_address_of_its_own(tmp_path: Path) -> None:
    """It gets port, directory and worker count, and nothing of its owner's AWS."""
    (model := tmp_path / "unpacked").mkdir()
    (model / "weights").write_text("0.5")

    async def scenario() -> Any:
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


def test_the_models_own_worker_count_goes_before_that_of_the_instance_type(tmp_path: Path) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(SAGEMAKER_MODEL_SERVER_WORKERS="7"))
            await healthy(instance)
            return await about(instance)

    assert asyncio.run(scenario())["environ"]["SAGEMAKER_MODEL_SERVER_WORKERS"] == "7"


def test_stopping_lets_the_server_drain_and_keeps_its_log(tmp_path: Path) -> None:
    async def scenario() -> Any:
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


def test_each_line_of_the_log_has_the_time_at_which_it_was_first_seen(tmp_path: Path) -> None:
    """Asking again does not change it, and pings see what nobody has asked for yet."""
    script = tmp_path / "talk.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "print('first', flush=True)\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\n"
        "print('second', flush=True); print('third', flush=True); time.sleep(600)\n"
    )
    go = tmp_path / "go"

    async def scenario() -> Any:
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


def test_a_server_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path) as launcher:
            instance = await launcher.launch(spec(IGNORE_SIGTERM="1"))
            await healthy(instance)
            await instance.stop(grace_seconds=0.2)
            return await instance.alive(), await said(instance)

    alive, log = asyncio.run(scenario())

    assert not alive
    assert "drained" not in log


def test_a_child_that_left_for_its_own_session_is_stopped_too(tmp_path: Path) -> None:
    """Neither the process group nor the parent leads to it; its mark does."""
    script = tmp_path / "fork.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        f"os.execv(sys.executable, [sys.executable, {str(SERVE)!r}])\n"
    )

    async def scenario() -> Any:
        command = (sys.executable, str(script))  # no control group, which would lead to it as well
        async with launching(tmp_path, no_control_group, process_command=command) as launcher:
            instance = await launcher.launch(spec())
            await healthy(instance)
            child = int((await said(instance)).split()[0])
            assert psutil.pid_exists(child)
            await instance.stop()
            return child

    child = asyncio.run(scenario())

    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_strangers_answer_on_the_port_is_not_taken_for_the_instance(tmp_path: Path) -> None:
    """`serve` has not bound its port; somebody else did, and answers 200 to everything."""

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> Any:
        async with launching(tmp_path, process_command=("sleep", "600")) as launcher:
            instance = await launcher.launch(spec())
            port = int(instance.url.rpartition(":")[2])
            server = await asyncio.start_server(stranger, "127.0.0.1", port)
            async with server:
                pinger = Pinger()
                answered = await pinger.ping(instance.url, 2.0)
                await pinger.close()
                return answered, await instance.ping()

    answered, healthy_instance = asyncio.run(scenario())

    assert answered
    assert not healthy_instance


def test_the_port_of_an_instance_is_given_to_nobody_who_does_not_know_it(tmp_path: Path) -> None:
    async def scenario() -> Any:
        async with launching(tmp_path, process_command=("sleep", "600")) as launcher:
            instance = await launcher.launch(spec())
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(instance.url.rpartition(":")[2])))

    asyncio.run(scenario())


@pytest.mark.parametrize("find", [usable_parent, no_control_group])
def test_a_command_that_does_not_exist_is_said_and_leaves_nothing(
    tmp_path: Path, find: Callable[[str], Cgroup | None]
) -> None:
    async def scenario() -> None:
        async with launching(tmp_path, find, process_command=("/no/such/serve",)) as launcher:
            with pytest.raises(LaunchError, match=r"/no/such/serve.*LOCAL_AWS_PROCESS_COMMAND"):
                await launcher.launch(spec())

    asyncio.run(scenario())

    assert not files_below(tmp_path / "state")
