"""`up`, `run`, `status` and `start`: exit codes, and nothing left behind, however it ends."""

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

import local_aws
from local_aws.testing import CONTRACT_SERVER, wait_until
from testbed.serving import SETTINGS, Serving

AWS_CLI = str(Path(sys.executable).with_name("aws"))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables for an AWS whose instances are contract servers, with nothing in its state directory."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "LOCAL_AWS_INSTANCES": "process",
        "LOCAL_AWS_PROCESS_COMMAND": " ".join(CONTRACT_SERVER),
        "LOCAL_AWS_STATE_DIR": str(tmp_path / "state"),
        "LOCAL_AWS_CACHE_DIR": str(tmp_path / "cache"),
    }


def run(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "local_aws", *command]
    return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=30)


@pytest.mark.starts_processes
def test_run_gives_the_commands_own_exit_code(environ: dict[str, str]) -> None:
    seven = run(environ, "run", "--", sys.executable, "-c", "raise SystemExit(7)")
    killed = run(environ, "run", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 15)")

    assert seven.returncode == 7
    assert killed.returncode == 128 + signal.SIGTERM


@pytest.mark.starts_processes
def test_run_finds_what_is_installed_beside_its_own_python(environ: dict[str, str]) -> None:
    answer = run({**environ, "PATH": "/usr/bin:/bin"}, "run", "--", "aws", "sagemaker", "list-endpoints")

    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == {"Endpoints": []}


@pytest.mark.starts_processes
def test_the_aws_cli_finds_this_aws_by_its_environment(environ: dict[str, str]) -> None:
    answer = run(environ, "run", "--", AWS_CLI, "sagemaker", "list-endpoints")

    assert (answer.returncode, json.loads(answer.stdout)) == (0, {"Endpoints": []})


@pytest.mark.starts_processes
def test_mistakes_are_told_and_exit_with_2(environ: dict[str, str]) -> None:
    unknown = run({**environ, "LOCAL_AWS_TIME_SCAEL": "60"}, "up")
    absent = run(environ, "run", "--", "no-such-command-anywhere")
    nothing = run(environ, "status")

    assert (unknown.returncode, absent.returncode, nothing.returncode) == (2, 2, 2)
    assert "LOCAL_AWS_TIME_SCAEL" in unknown.stderr
    assert "no-such-command-anywhere" in absent.stderr
    assert "AWS_ENDPOINT_URL is not set" in nothing.stderr


def test_start_refuses_a_setting_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="time_scael"), local_aws.start(time_scael=60):
        pass


@pytest.mark.starts_processes
def test_status_is_a_table_and_json(
    aws: local_aws.Running, serving: Serving, environ: dict[str, str]
) -> None:
    name = serving.endpoint(serving.config())
    table = run({**environ, **aws.environ}, "status").stdout
    everything = json.loads(run({**environ, **aws.environ}, "status", "--json").stdout)

    assert name in table
    assert {"endpoints", "endpoint_configs", "instances", "alarms", "scaling_activities"} <= everything.keys()


@pytest.mark.starts_processes
def test_a_status_that_is_watched_shows_what_has_changed_until_ctrl_c(
    aws: local_aws.Running, serving: Serving, environ: dict[str, str]
) -> None:
    first, last = (f"shown-{secrets.token_hex(4)}" for _ in range(2))
    words = [sys.executable, "-m", "local_aws", "status", "--watch", "0.05"]
    watched = {**environ, **aws.environ}
    with subprocess.Popen(words, env=watched, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for name in (first, last):
            serving.alarm(name=name)
            seen = next(line for line in process.stdout if name in line)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert process.returncode == 0
    assert last in seen
    assert "Traceback" not in rest


@pytest.mark.starts_processes
def test_an_aws_that_nobody_has_asked_for_stacks_is_small(environ: dict[str, str], tmp_path: Path) -> None:
    """CloudFormation's templates are 120 MB of moto's models: they come with the first stack."""
    with local_aws.start(instances="process", state_dir=tmp_path, cache_dir=tmp_path) as aws:
        aws.client("sagemaker").list_endpoints()
        resident = psutil.Process(aws.pid).memory_info().rss
        stacks = aws.client("cloudformation").list_stacks()["StackSummaries"]

    assert resident < 200e6
    assert stacks == []


@pytest.mark.starts_processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_prints_exports_and_leaves_nothing_behind(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    words = [sys.executable, "-m", "local_aws", "up"]
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exports = [process.stdout.readline().split("=")[0] for _ in range(5)]
        process.send_signal(number)

        assert process.wait(20) == 0
    assert exports == [
        "export AWS_ENDPOINT_URL",
        "export AWS_SECONDS_PER_SECOND",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export AWS_DEFAULT_REGION",
    ]
    assert _files(tmp_path / "state") == []


@pytest.mark.starts_processes
def test_a_stop_with_a_live_endpoint_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with local_aws.start(**SETTINGS, state_dir=state) as aws:
        instances = _instance_processes(aws, endpoint_of(aws))

    assert instances
    assert not any(process.is_running() for process in instances)
    assert _files(state) == []


@pytest.mark.starts_processes
def test_an_aws_whose_starter_is_killed_ends_by_itself(tmp_path: Path) -> None:
    program = (
        "import sys, time, local_aws\n"
        f"with local_aws.start(instances='process', state_dir={str(tmp_path)!r}) as aws:\n"
        "    print(aws.url, aws.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        up = psutil.Process(int(starter.stdout.readline().split()[1]))
        starter.kill()

    wait_until(
        lambda: not up.is_running() or up.status() == psutil.STATUS_ZOMBIE, "the orphaned AWS has ended"
    )


@pytest.mark.starts_processes
def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path: Path) -> None:
    settings = {**SETTINGS, "state_dir": tmp_path / "state"}
    with local_aws.start(**settings) as aws:
        instances = _instance_processes(aws, endpoint_of(aws))
        os.kill(aws.pid, signal.SIGKILL)
        wait_until(lambda: not _answers(aws.url), "the killed AWS is gone")
        orphans = [process for process in instances if process.is_running()]
        with local_aws.start(**settings) as following:
            swept = [process for process in instances if not process.is_running()]

            assert following.status()["endpoints"] == []

    assert orphans == instances
    assert swept == instances
    assert _files(tmp_path / "state") == []


def endpoint_of(aws: local_aws.Running) -> str:
    serving = Serving(aws)
    return serving.endpoint(serving.config(instances=2))


def _instance_processes(aws: local_aws.Running, endpoint: str) -> list[psutil.Process]:
    (found,) = [e for e in aws.status()["endpoints"] if e["name"] == endpoint]
    ports = {int(i["url"].rsplit(":", 1)[1]) for fleet in found["fleets"] for i in fleet["instances"]}
    return [
        process
        for process in psutil.Process(aws.pid).children(recursive=True)
        if ports & {connection.laddr.port for connection in process.net_connections("tcp")}
    ]


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/_local_aws/status", timeout=1).close()
    except OSError:
        return False
    return True


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
