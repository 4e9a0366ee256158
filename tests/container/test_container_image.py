"""The real image: small, labelled, without CUDA, and at home wherever SageMaker or a cluster may run it."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

import golden
from tests.container import archives
from tests.container.conftest import REVISION, SOURCE
from tests.container.serve_process import (
    COMMITTED,
    CONTAINER,
    ERRORS_ALONE,
    IDENTITY,
    IMAGES,
    JSON,
    PREDICTIONS,
    ask,
    free_port,
    invoke,
    until,
)

pytestmark = [pytest.mark.docker, pytest.mark.starts_processes]

LABEL = "sagemaker-pytorch-release.test"
LOCAL_TEST = CONTAINER / "local_test"
ENCODER = LOCAL_TEST / "examples" / "encoder"
LOCKED_DOWN: dict[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": ""},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
Run = Callable[..., Container]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def run(engine: docker.DockerClient, container_image: str) -> Iterator[Run]:
    """Start a container of the image; it is removed with the test, by its id."""
    started: list[Container] = []

    def runner(command: str | list[str], **options: Any) -> Container:
        labels = {LABEL: "container"}
        container = engine.containers.run(container_image, command, detach=True, labels=labels, **options)
        started.append(container)
        return container

    yield runner
    for container in started:
        container.remove(force=True)


def serve(run: Run, model: Path = COMMITTED / "model", **options: Any) -> tuple[Container, int]:
    """Start a container that serves `model`; return it, ready, and its port on this machine."""
    options.setdefault("volumes", {str(model): {"bind": "/opt/ml/model", "mode": "ro"}})
    container = run("serve", ports={"8080/tcp": ("127.0.0.1", None)}, **options)
    assert until(lambda: published(container) is not None, 10), logs(container)
    port = published(container)
    assert port is not None
    assert until(lambda: answers(port), 60), logs(container)
    return container, port


def published(container: Container) -> int | None:
    container.reload()
    bindings = container.ports.get("8080/tcp")
    return int(bindings[0]["HostPort"]) if bindings else None


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping").status == 200
    except OSError:
        return False


def logs(container: Container) -> str:
    return container.logs().decode()


def test_the_image_is_small_and_says_where_it_comes_from(
    engine: docker.DockerClient, container_image: str
) -> None:
    image = engine.images.get(container_image)

    assert image.attrs["Size"] < 1.1e9, "with all three engines"
    assert image.attrs["Config"]["Cmd"] == ["serve"]
    labels = image.labels
    assert labels["org.opencontainers.image.title"] == "sagemaker-pytorch-release"
    assert labels["org.opencontainers.image.revision"] == REVISION
    assert labels["org.opencontainers.image.source"] == SOURCE
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    committed = json.loads((COMMITTED / "model" / "engines.json").read_text())
    assert labels["sagemaker-pytorch-release.request-response"] == committed["request_response"]
    versions = {f"{one['engine']}=={one['version']}" for one in committed["engines"]}
    assert set(labels["sagemaker-pytorch-release.engines"].split()) == versions
    environment = dict(entry.split("=", 1) for entry in image.attrs["Config"]["Env"])
    assert environment["PATH"].startswith("/opt/program:/opt/venv/bin:")


def test_torch_is_for_the_cpu_and_nothing_of_this_machine_is_inside(run: Run) -> None:
    check = "import torch, os; assert torch.version.cuda is None; print(sorted(os.listdir('/opt/program')))"
    container = run(["python", "-c", check])

    assert container.wait()["StatusCode"] == 0, logs(container)
    assert "'train'" in logs(container)
    assert "local_test" not in logs(container)


def test_the_image_has_a_copy_of_golden_that_can_be_imported(run: Run) -> None:
    check = (
        "import golden, pathlib; print(golden.__file__, pathlib.Path(golden.__file__).parent.is_symlink(), "
        "len(golden.read_folder(pathlib.Path('/opt/ml/model'))))"
    )
    volumes = {str(COMMITTED / "model"): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = run(["python", "-c", check], volumes=volumes, user="10001", **LOCKED_DOWN)

    assert container.wait()["StatusCode"] == 0, logs(container)
    assert logs(container).split() == ["/opt/program/golden/__init__.py", "False", "32"]


def copied(folder: Path) -> Path:
    """Copy what an image is built from; return the copy of container/."""
    ignored = shutil.ignore_patterns("local_test", "__pycache__", ".*_cache")
    for name in ("container", "golden"):
        shutil.copytree(CONTAINER.parent / name, folder / name, ignore=ignored, symlinks=True)
    return folder / "container"


@contextmanager
def image_of(engine: docker.DockerClient, copy: Path) -> Iterator[Any]:
    """Build an image from a copy; it is removed afterwards."""
    tag = "sagemaker-pytorch-release:test-copy"
    done = subprocess.run([copy / "build", "--tag", tag], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    yield engine.images.get(done.stdout.split()[-1])
    engine.images.remove(tag)


def test_what_tools_leave_in_the_sources_is_not_in_the_image(
    engine: docker.DockerClient, container_image: str, tmp_path: Path
) -> None:
    """Equal layers, whether mypy, ruff and Python have left their caches there or not."""
    copy = copied(tmp_path)
    for place in (
        "src/.mypy_cache/3.11",
        "src/serving/.ruff_cache",
        "src/__pycache__",
        "../golden/.ruff_cache",
    ):
        (copy / place).mkdir(parents=True)
        (copy / place / "left.json").write_text(str(tmp_path))

    with image_of(engine, copy) as cluttered:
        assert cluttered.attrs["RootFS"] == engine.images.get(container_image).attrs["RootFS"]


def test_every_user_can_read_a_program_that_was_checked_out_by_a_private_umask(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    copy = copied(tmp_path)
    for path in tmp_path.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    with image_of(engine, copy) as image:
        unreadable = ["find", "/opt/program", "!", "-perm", "-o=r"]
        found = engine.containers.run(
            image.id, unreadable, remove=True, user="10001", labels={LABEL: "container"}
        )

    assert found == b""


def test_trained_in_a_container_served_from_a_container(run: Run, tmp_path: Path) -> None:
    shutil.copytree(COMMITTED / "input", tmp_path / "input")
    (tmp_path / "input/config/hyperparameters.json").write_text('{"epochs": "2", "seed": "5"}')
    volumes = {str(tmp_path): {"bind": "/opt/ml", "mode": "rw"}}
    owner = f"{os.getuid()}:{os.getgid()}"  # without capabilities even root may not write to another user's folder
    training = run("train", volumes=volumes, network_mode="none", user=owner, **LOCKED_DOWN)
    assert training.wait()["StatusCode"] == 0, logs(training)

    container, port = serve(run, tmp_path / "model", environment={"RELEASE_ID": "from-container"})
    [first, *_] = golden.read(tmp_path / "model" / golden.FILE)
    answer = ask(port, "POST", "/invocations", first.request.body, JSON)

    assert answer.headers[IDENTITY].startswith("release=from-container;instance=")
    found = golden.Answer(answer.status, answer.headers["Content-Type"], answer.body)
    assert golden.first_difference(first, found) is None
    assert "nginx before gunicorn" in logs(container)


@pytest.mark.parametrize("user", ["0", "10001", "10001:10001"])
def test_locked_down_it_serves_as_any_user(run: Run, user: str) -> None:
    container, port = serve(run, user=user, environment=ERRORS_ALONE, **LOCKED_DOWN)

    answer = invoke(port, IMAGES[:1])

    assert answer.json()["predictions"][0]["label"] == PREDICTIONS[0]["label"]
    container.stop(timeout=30)
    assert container.wait()["StatusCode"] == 0
    noise = "initgroups(root, 0) failed"  # nginx tells so when it is root without the right to set groups
    lines = [line for line in logs(container).splitlines() if noise not in line]
    assert len(lines) == 3, lines  # the plan, the engine, and that the model is loaded


ASK_FROM_INSIDE = """
import json, urllib.request
body = json.dumps({"inputs": ["the same text", "the same text"]}).encode()
request = urllib.request.Request(
    "http://127.0.0.1:8080/invocations", body, {"Content-Type": "application/json"}
)
first, second = json.load(urllib.request.urlopen(request, timeout=30))["embeddings"]
print(len(first), first == second)
"""


def test_a_foreign_archive_is_served_locked_down_and_without_a_network(run: Run, tmp_path: Path) -> None:
    runpy.run_path(str(ENCODER / "prepare.py"))["write"](tmp_path)
    tmp_path.chmod(0o755)  # the container's user is another
    volumes = {str(tmp_path): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = run("serve", volumes=volumes, network_mode="none", user="10001", **LOCKED_DOWN)
    ping = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ping', timeout=2)"
    ready = until(lambda: container.exec_run(["python", "-c", ping]).exit_code == 0, 60)
    assert ready, logs(container)

    answer: bytes = container.exec_run(["python", "-c", ASK_FROM_INSIDE]).output  # type: ignore[assignment]

    assert answer.decode().split() == ["384", "True"], logs(container)
    container.stop(timeout=30)
    assert container.wait()["StatusCode"] == 0


ELSEWHERE = {"PIP_TARGET": "/tmp/installed", "PYTHONPATH": "/tmp/installed"}  # in the container


@pytest.mark.parametrize(("user", "settings"), [("0", {}), ("10001", ELSEWHERE)])
def test_requirements_are_installed_in_the_image_where_that_is_asked_for(
    run: Run, tmp_path: Path, user: str, settings: dict[str, str]
) -> None:
    """Without SERVE_INSTALL_REQUIREMENTS the same archive ends the start, and says how to get further."""
    model = archives.in_need_of_a_package(tmp_path / "model")
    wheels = archives.wheel(tmp_path / "wheels", "greeting", "WORD = 'hello'").parent
    volumes = {
        str(model): {"bind": "/opt/ml/model", "mode": "ro"},
        str(wheels): {"bind": "/wheels", "mode": "ro"},
    }
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}

    _, port = serve(
        run, user=user, environment={**pip, **settings, "SERVE_INSTALL_REQUIREMENTS": "1"}, volumes=volumes
    )
    assert ask(port, "POST", "/invocations", "[]", JSON).body == b"hello"

    refused = run("serve", user=user, environment={**pip, **settings}, volumes=volumes)
    assert refused.wait(timeout=60)["StatusCode"] == 1
    assert "requirements.txt: not all of it is in the image" in logs(refused)
    assert "set SERVE_INSTALL_REQUIREMENTS=1" in logs(refused)


def test_serve_local_serves_an_archive_in_a_locked_down_container(
    container_image: str, tmp_path: Path
) -> None:
    archive, port = tmp_path / "model.tar.gz", free_port()
    subprocess.run([sys.executable, ENCODER / "prepare.py", archive], check=True, stdout=subprocess.DEVNULL)
    environ = {**os.environ, "PORT": str(port), "LOCKED_DOWN": "1", "RELEASE_ID": "from-a-script"}
    script = LOCAL_TEST / "serve_local.sh"
    serving = subprocess.Popen([script, archive, container_image], env=environ, stdout=subprocess.DEVNULL)
    try:
        assert until(lambda: answers(port), 60)
        answer = ask(port, "POST", "/invocations", json.dumps({"inputs": "a text"}), JSON)
    finally:
        serving.terminate()
        code = serving.wait(30)

    assert len(answer.json()["embeddings"][0]) == 384
    assert answer.headers[IDENTITY].startswith("release=from-a-script;")
    assert code == 0


ASK = """
import golden, json, pathlib, urllib.request
body = golden.read_folder(pathlib.Path("/opt/ml/model")).case(0).request.body
request = urllib.request.Request("http://127.0.0.1:8080/invocations", body, {"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request))["predictions"][0]["label"])
"""


@pytest.mark.parametrize("chosen", ["torch", "onnxruntime", "openvino"])
def test_each_engine_predicts_locked_down_and_without_a_network(run: Run, chosen: str) -> None:
    volumes = {str(COMMITTED / "model"): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = run(
        "serve",
        volumes=volumes,
        environment={"ENGINE": chosen},
        user="10001",
        network_mode="none",
        **LOCKED_DOWN,
    )
    answers: list[str] = []

    def answered() -> bool:
        container.reload()
        assert container.status == "running", logs(container)
        output: bytes = container.exec_run(["python", "-c", ASK]).output  # type: ignore[assignment]
        answers.append(output.decode().strip())
        return answers[-1] == str(PREDICTIONS[0]["label"])

    assert until(answered, 60), answers[-1]
    assert f"serve: engine {chosen} fp32" in logs(container)


def test_the_plan_follows_the_containers_cpus(run: Run) -> None:
    container, _ = serve(run, nano_cpus=1_000_000_000)

    assert re.match(r"serve: 1 worker × 1 engine thread on 1 CPU; ", logs(container))


def test_the_largest_requests_fit_into_half_a_gigabyte(run: Run) -> None:
    container, port = serve(run, mem_limit="512m")
    most = invoke(port, IMAGES[:1] * 4096)
    nonsense = ask(port, "POST", "/invocations", b'{"instances": [' + b"0," * 12_000_000 + b"0]}", JSON)
    nested = ask(port, "POST", "/invocations", b"[" * 25_000_000, JSON)

    assert len(most.json()["predictions"]) == 4096
    assert (nonsense.status, nested.status) == (400, 400)
    container.reload()
    assert container.attrs["State"]["OOMKilled"] is False
    assert "was sent SIGKILL" not in logs(container)


def test_without_weights_it_ends_with_one_sentence(run: Run) -> None:
    container = run("serve")

    assert container.wait(timeout=60)["StatusCode"] == 1
    assert "serve: /opt/ml/model/model.safetensors: there are no weights" in logs(container)
    assert "Traceback" not in logs(container)
