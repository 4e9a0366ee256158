"""`serve` as a process, with nginx in front and without: SageMaker's serving contract, end to end."""

import json
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file

from tests.container.serve_process import (
    COMMITTED,
    ERRORS_ALONE,
    IDENTITY,
    IMAGES,
    JSON,
    PREDICTIONS,
    TOLERANCE,
    Serve,
    read_all,
    send_raw,
    until,
)

pytestmark = pytest.mark.starts_processes

DIGIT = IMAGES[0]
REQUEST = json.dumps({"instances": [DIGIT]}).encode()
HEAD = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
MEGABYTE = 1024 * 1024
Start = Callable[..., Serve]
# For what does not depend on who is in front.
ONE_FRONT = pytest.mark.parametrize("start", ["gunicorn"], indirect=True)


def test_workers_and_front_answer_with_the_identity_in_the_log(server: Serve) -> None:
    [identity] = {server.ask("GET", "/ping").headers[IDENTITY] for _ in range(20)}

    assert re.fullmatch(r"release=abc-123;instance=[0-9a-f]{12}", identity)
    assert identity in server.log()
    assert identity.encode() in send_raw(server.port, b"nonsense\r\n\r\n")


def test_golden_instances_get_their_golden_answers(server: Serve) -> None:
    answers = server.invoke(IMAGES).json()["predictions"]

    for answer, expected in zip(answers, PREDICTIONS, strict=True):
        assert answer["label"] == expected["label"]
        np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\x01\x02\x03\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nnot a header\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET /.refusal HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"DELETE /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    ],
)
def test_what_is_hardly_http_is_refused_in_json_and_with_the_identity(
    server: Serve, data: bytes, status: int
) -> None:
    head, _, body = send_raw(server.port, data).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert IDENTITY.encode() + b": release=abc-123;instance=" in head
    assert b"Content-Type: application/json" in head
    assert list(json.loads(body)) == ["error"]


def test_an_oversized_body_is_a_413_in_json_and_the_limit_itself_is_not(server: Serve) -> None:
    too_large = server.ask("POST", "/invocations", REQUEST.ljust(MEGABYTE + 1), JSON)
    chunked = server.ask("POST", "/invocations", iter([b" " * 65536] * 40), JSON)
    largest = server.ask("POST", "/invocations", REQUEST.ljust(MEGABYTE), JSON)

    for answer in (too_large, chunked):
        assert (answer.status, answer.json()) == (413, {"error": "body: expected at most 1 MB, got more"})
        assert answer.headers[IDENTITY].startswith("release=abc-123;")
    assert largest.status == 200


def test_a_chunked_body_is_read(server: Serve) -> None:
    assert server.ask("POST", "/invocations", iter([REQUEST[:50], REQUEST[50:]]), JSON).status == 200


def test_bad_input_costs_no_worker(server: Serve) -> None:
    before = {process.pid for process in server.family()}

    for body in (
        b"",
        b"[" * 200_000,
        b"\xff",
        b'{"instances": [[' + b"9" * 5000 + b"]]}",
        b'"\\ud800"',
        b"NaN",
    ):
        assert server.ask("POST", "/invocations", body, JSON).status == 400

    assert before <= {process.pid for process in server.family()}
    assert server.invoke([DIGIT]).status == 200


def test_metrics_are_those_of_all_workers(server: Serve) -> None:
    def predicted() -> float:
        page = server.ask("GET", "/metrics").body.decode()
        return float(page.split("\npredicted_instances_total ")[1].split()[0])

    before = predicted()
    for _ in range(20):
        server.invoke([DIGIT, DIGIT])

    assert {predicted() for _ in range(10)} == {before + 40}


def test_it_says_its_plan_its_engine_and_that_the_model_is_loaded_and_logs_errors_alone(start: Start) -> None:
    serve = start(SAGEMAKER_MODEL_SERVER_WORKERS="1", **ERRORS_ALONE)
    serve.await_ready()
    serve.invoke([DIGIT])
    serve.invoke("bad")

    assert until(lambda: serve.log().count("\n") == 4)
    plan, engine, loaded, error = serve.log().splitlines()
    assert re.fullmatch(
        r"serve: 1 worker × \d+ engine threads? on [\d.]+ CPUs?; (nginx before gunicorn|gunicorn alone, as .*); "
        rf"port {serve.port}; release=unreleased;instance=[0-9a-f]{{12}}",
        plan,
    )
    assert engine.startswith("serve: engine onnxruntime fp32, chosen on ")
    assert loaded == "serve: the model is loaded"
    assert json.loads(error)["error"].startswith("instances: expected a list")
    workers = [child for child in serve.child("gunicorn").children() if child.is_running()]
    assert len(workers) == 1


def test_sigterm_with_idle_connections_ends_in_time_with_code_0(start: Start) -> None:
    serve = start()
    serve.await_ready()
    family = serve.family()
    with socket.create_connection(("127.0.0.1", serve.port), timeout=10) as idle:
        idle.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")

        serve.terminate()

        assert serve.process.wait(10) == 0
    assert not any(process.is_running() for process in family)


def test_a_request_that_has_begun_is_answered_after_sigterm(start: Start) -> None:
    serve = start()
    serve.await_ready()
    with socket.create_connection(("127.0.0.1", serve.port), timeout=20) as slow:
        slow.sendall(HEAD % len(REQUEST) + REQUEST[:20])
        assert until(lambda: has_read_everything(serve, slow))

        serve.terminate()
        assert until(lambda: refuses_connections(serve.port))
        slow.sendall(REQUEST[20:])
        answer = read_all(slow)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"predictions":[{"label":%d' % PREDICTIONS[0]["label"] in answer
    assert serve.process.wait(10) == 0


def has_read_everything(serve: Serve, client: socket.socket) -> bool:
    """Return True if a process of the server holds the connection's other end, and nothing waits there to be read.

    A connection that was only accepted is idle to nginx: told to stop, it may close it.
    """
    port = client.getsockname()[1]
    is_held = any(
        connection.raddr and connection.raddr.port == port
        for process in serve.family()
        for connection in process.net_connections("tcp")
    )
    return is_held and unread(port) == 0


def unread(peer_port: int) -> int:
    """Bytes that the kernel holds for whoever is connected to this local port (proc(5), /proc/net/tcp)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    waiting = [row[4].split(":")[1] for row in rows if int(row[2].split(":")[1], 16) == peer_port]
    return sum(int(each, 16) for each in waiting)


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("start", "victim"),
    [("nginx", "nginx"), ("nginx", "gunicorn"), ("gunicorn", "gunicorn")],
    indirect=["start"],
)
def test_the_death_of_a_master_ends_everything(start: Start, victim: str) -> None:
    serve = start()
    serve.await_ready()
    family = serve.family()

    serve.child(victim).kill()

    assert serve.process.wait(10) == 1
    assert f"serve: {victim} ended (SIGKILL); stopping" in serve.log()
    assert not any(process.is_running() for process in family)


@ONE_FRONT
def test_a_killed_worker_is_replaced(start: Start) -> None:
    serve = start(SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()
    [worker] = serve.child("gunicorn").children()

    worker.kill()

    assert until(lambda: bool({child.pid for child in serve.child("gunicorn").children()} - {worker.pid}))
    assert serve.invoke([DIGIT]).status == 200


def test_nothing_outlives_serve_itself_killed(start: Start) -> None:
    serve = start()
    serve.await_ready()
    family = serve.family()

    serve.process.kill()

    assert until(lambda: not any(alive(process) for process in family))


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@ONE_FRONT
@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("RELEASE_ID", 'a"b', "serve: RELEASE_ID: expected up to 200 letters"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "serve: SAGEMAKER_MODEL_SERVER_WORKERS: expected a number"),
        (
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            "0",
            "serve: SAGEMAKER_MAX_PAYLOAD_IN_MB: expected a whole number from 1",
        ),
        (
            "SAGEMAKER_BIND_TO_PORT",
            "70000",
            "serve: SAGEMAKER_BIND_TO_PORT: expected a whole number from 1 to 65535",
        ),
        ("SAGEMAKER_BASE_DIR", "/nonexistent", "/nonexistent/model/model.safetensors: there are no weights"),
    ],
)
def test_what_cannot_serve_says_why_and_does_not_start(
    start: Start, variable: str, value: str, sentence: str
) -> None:
    serve = start(**{variable: value})

    assert serve.process.wait(20) == 1
    assert sentence in serve.log()
    assert "Traceback" not in serve.log()


def with_other_answers(model: Path) -> None:
    lines = (model / "golden.jsonl").read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"probabilities":[5e-06', '"probabilities":[0.5')
    (model / "golden.jsonl").write_text("".join(lines))


def cut_short(name: str) -> Callable[[Path], None]:
    def cut(model: Path) -> None:
        (model / name).write_bytes((model / name).read_bytes()[:-1])

    return cut


def with_weights_of_another_network(model: Path) -> None:
    (model / "engines.json").unlink()  # it would tell that these are not the weights it knows
    save_file({"features.0.weight": np.zeros(3, np.float32)}, model / "model.safetensors")


@ONE_FRONT
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (with_other_answers, "golden case 3: $.predictions[0].probabilities[0] is 5e-06, not 0.5 ± 0.0001"),
        (cut_short("model.onnx"), "model.onnx: expected sha256 f661fb58e1ba…, as engines.json says, got"),
        (cut_short("model.safetensors"), "model.safetensors: expected sha256 7bca017baa8a…, as engines.json"),
        (with_weights_of_another_network, "model.safetensors: these are the weights of another network ("),
    ],
)
def test_a_model_that_is_not_the_recorded_one_ends_the_start_with_one_sentence(
    start: Start, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """However many workers find out."""
    spoil(Path(shutil.copytree(COMMITTED / "model", tmp_path / "model")))
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="3")

    assert serve.process.wait(60) == 1
    usual = ("serve: 3 workers", "serve: engine ", "serve: the model is loaded", "serve: gunicorn ended (")
    [reason] = [line for line in serve.log().splitlines() if not line.startswith(usual)]
    assert reason.startswith("serve: ")
    assert says in reason


@ONE_FRONT
def test_a_taken_port_ends_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        serve = start(SAGEMAKER_BIND_TO_PORT=str(taken.getsockname()[1]))

        assert serve.process.wait(20) == 1
    assert f"serve: cannot listen on 127.0.0.1:{serve.port}: Address already in use" in serve.log()


@ONE_FRONT
def test_its_scratch_directory_goes_with_it(start: Start, tmp_path: Path) -> None:
    serve = start(TMPDIR=str(tmp_path))
    serve.await_ready()
    assert list(tmp_path.glob("serve-*"))

    serve.process.send_signal(signal.SIGINT)

    assert serve.process.wait(10) == 0
    assert not list(tmp_path.glob("serve-*"))
