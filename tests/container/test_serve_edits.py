"""Edits of the applications are in force behind nginx: steps, a hook, worker count, time-outs."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.engines import Engine
from tests.container import archives
from tests.container.conftest import path_of
from tests.container.serve_process import COMMITTED, IMAGES, JSON, SOURCE, Answer, Serve, until

DIGIT = IMAGES[0]
REQUEST = json.dumps({"instances": [DIGIT]})
Edited = Callable[..., Serve]


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[Edited]:
    """Start `serve` of a copy of container/src in which `edits` (file: old, new) have been made."""
    servers: list[Serve] = []

    def starter(edits: dict[str, list[tuple[str, str]]], **environment: str) -> Serve:
        source = tmp_path / "src"
        shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        for name, changes in edits.items():
            text = (source / name).read_text()
            for old, new in changes:
                assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
                text = text.replace(old, new)
            (source / name).write_text(text)
        path = path_of("nginx", tmp_path)
        servers.append(Serve({"LOG_SAMPLE": "1", **environment}, path=path, source=source))
        servers[-1].await_ready()
        return servers[-1]

    yield starter
    for server in servers:
        server.end()


def ask(serve: Serve) -> Answer:
    return serve.ask("POST", "/invocations", REQUEST, JSON)


def answering_servers(serve: Serve, requests: int) -> set[object]:
    """Return the servers of the first `requests` invocations, by the log."""

    def lines() -> list[dict[str, object]]:
        found = [json.loads(line) for line in serve.log().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("event") == "invocation"]

    assert until(lambda: len(lines()) >= requests)
    return {line["server"] for line in lines()}


@pytest.mark.starts_processes
def test_changed_steps_are_in_force_in_the_batch_server(
    edited: Edited, engine: Engine, tmp_path: Path
) -> None:
    """Without golden cases, which such an edit would not answer."""
    shutil.copytree(COMMITTED / "model", tmp_path / "model", ignore=shutil.ignore_patterns("golden.*"))
    serve = edited(
        {
            "predictor.py": [
                ("return handler.decode(body, content_type)",
                 "return handler.decode(body, content_type)[:, ::-1].copy()"),
                ("return handler.predict(data)", "return handler.predict(data)[:, ::-1].copy()"),
                ("return handler.encode(prediction, accept)",
                 'return Answer(b"[%d]" % prediction.argmax(), "application/json", 203, {"X-Mine": "yes"})'),
            ]
        },
        SAGEMAKER_BASE_DIR=str(tmp_path),
    )  # fmt: skip
    mirrored = int(engine.predict(np.array([DIGIT[::-1]], dtype=np.float32)).argmax())

    answer = ask(serve)

    assert (answer.status, answer.json(), answer.headers["X-Mine"]) == (203, [9 - mirrored], "yes")
    assert answering_servers(serve, 1) == {"batch"}


@pytest.mark.starts_processes
def test_a_hook_sees_every_invocation(edited: Edited) -> None:
    hook = """
    @app.before_request
    def only_with_a_key() -> Response | None:
        if request.path != "/invocations" or request.headers.get("X-Key") == "sesame":
            return None
        return refusal(401, "X-Key: expected the key")

    return app
"""
    serve = edited({"predictor.py": [("\n    return app\n", hook)]}, SAGEMAKER_MODEL_SERVER_WORKERS="1")

    assert (ask(serve).status, ask(serve).json()) == (401, {"error": "X-Key: expected the key"})
    assert serve.ask("POST", "/invocations", REQUEST, {**JSON, "X-Key": "sesame"}).status == 200
    assert answering_servers(serve, 1) == {"flask"}
    assert "because a hook has to see each of them" in serve.log()


@pytest.mark.starts_processes
def test_workers_and_timeouts_of_environment_and_nginx_conf_are_in_force(edited: Edited) -> None:
    slow = "(__import__('time').sleep(3) if data[0, 0] == 16 else None) or handler.predict(data)"
    serve = edited(
        {
            "predictor.py": [("return handler.predict(data)", f"return {slow}")],
            "nginx.conf": [("client_max_body_size {{payload_mb}}m;", "client_max_body_size 1k;")],
        },
        SAGEMAKER_MODEL_SERVER_WORKERS="3",
        SAGEMAKER_MODEL_SERVER_TIMEOUT="1",
    )

    late = serve.invoke([[16, *DIGIT[1:]]])

    assert (late.status, late.json()) == (504, {"error": "the application did not answer within 1 s"})
    assert serve.invoke([DIGIT] * 20).status == 413
    assert len(serve.child("gunicorn").children()) == 3
    assert ask(serve).status == 200


@pytest.mark.starts_processes
def test_each_of_two_gpus_has_a_process_that_sees_it_alone(edited: Edited, tmp_path: Path) -> None:
    """The machine's devices are files of the test's; what CUDA would be told is what the program finds."""
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / "machine" / "dev").mkdir(parents=True, exist_ok=True)
        (tmp_path / "machine" / "dev" / name).touch()
    program = """
import os

def model_fn(d):
    return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()

def transform_fn(model, body, content_type, accept):
    return list(model)
"""
    archives.program(tmp_path / "base" / "model", program)
    root = f"ROOT = Path({str(tmp_path / 'machine')!r})"
    edits = {"serving/platform/devices.py": [('ROOT = Path("/")', root)]}
    serve = edited(edits, SAGEMAKER_BASE_DIR=str(tmp_path / "base"))
    seen: dict[str, int] = {}

    def both_answered() -> bool:
        device, process = serve.ask("POST", "/invocations", b"", JSON).json()
        assert seen.setdefault(device, process) == process
        return len(seen) == 2

    assert until(both_answered, 20)
    assert set(seen) == {"0", "1"}
    assert "serve: 2 workers" in serve.log()
    assert "and 2 GPUs" in serve.log()
