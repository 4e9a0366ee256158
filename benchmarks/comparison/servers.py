"""The compared servers and their start commands: two workers, one engine thread each, no access log."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks.comparison import java_servers
from benchmarks.comparison.environments import ROOT
from benchmarks.comparison.running import Launch, free_port
from benchmarks.comparison.workspace import PROGRAMS, Workspace

BATCH = 32
WORKERS = "2"
GUNICORN = ["-m", "gunicorn", "-k", "sync", "-w", WORKERS, "--log-level", "error"]


@dataclass(frozen=True)
class Server:
    """One row of the table. `kind` is ours, peer or baseline; `packages` names its virtual environment.

    `rows`: its workloads in a run of all servers. T32, whose requests are batches already, leaves out the servers
    that batch, so that such a run stays within 75 minutes. `max_repetitions`: its repetitions in such a run.
    """

    name: str
    title: str
    kind: str
    launch: Callable[[Workspace], Launch]
    engine: str = "torch"
    precision: str = "fp32"
    packages: str | None = None
    has_model: bool = True
    rows: tuple[str, ...] = ("T1", "T32", "M")
    max_repetitions: int = 100


def ours(engine: str, precision: str = "fp32", *, program_batch: int = 1) -> Callable[[Workspace], Launch]:
    """Start `serve` as the image does: with its own nginx and its own plan of workers and threads.

    `program_batch`: the largest batch of a user's program.
    """

    def launch(workspace: Workspace) -> Launch:
        base = workspace.scratch / "ml"
        base.mkdir()
        (base / "model").symlink_to(workspace.workload.model_dir)
        environ = {
            **_environ(workspace, threads=None),
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(workspace.port),
            "SERVE_HOST": "127.0.0.1",
            "ENGINE": engine,
            "ENGINE_PRECISION": precision,
            **({"SAGEMAKER_TS_BATCH_SIZE": str(program_batch)} if program_batch > 1 else {}),
        }
        return Launch([sys.executable, str(ROOT / "container" / "src" / "serve")], environ)

    return launch


def flask(app: str, *, threads: str | None = "1") -> Callable[[Workspace], Launch]:
    """Start Flask under gunicorn's sync workers behind nginx, as in AWS's examples."""

    def launch(workspace: Workspace) -> Launch:
        address = f"unix:{workspace.scratch / 'app.sock'}"
        command = [str(workspace.python), *GUNICORN, "--chdir", str(PROGRAMS), "-b", address, f"{app}:app"]
        return Launch(command, _environ(workspace, threads=threads), backend=address)

    return launch


def fastapi(workspace: Workspace) -> Launch:
    """Start FastAPI under uvicorn with uvloop and httptools."""
    port = str(free_port())
    command = [
        *(str(workspace.python), "-m", "uvicorn", "--app-dir", str(PROGRAMS), "fastapi_app:app"),
        *("--host", "127.0.0.1", "--port", port, "--workers", WORKERS),
        *("--no-access-log", "--log-level", "error", "--loop", "uvloop", "--http", "httptools"),
    ]
    return Launch(command, _environ(workspace), backend=f"127.0.0.1:{port}")


def litserve(batch: int) -> Callable[[Workspace], Launch]:
    """Start LitServe; a batch size of 1 turns its batching off."""

    def launch(workspace: Workspace) -> Launch:
        port = str(free_port())
        command = [str(workspace.python), str(PROGRAMS / "litserve_app.py"), port, str(batch)]
        return Launch(command, _environ(workspace), backend=f"127.0.0.1:{port}")

    return launch


def bentoml(batch: int) -> Callable[[Workspace], Launch]:
    """Start BentoML; a batch size of 1 turns its batching off."""

    def launch(workspace: Workspace) -> Launch:
        port = str(free_port())
        command = [str(workspace.python), "-m", "bentoml", "serve", "bentoml_app:Service", "--port", port]
        command += ["--host", "127.0.0.1", "--working-dir", str(PROGRAMS), "--timeout", "120"]
        environ = {
            **_environ(workspace),
            "BATCH_SIZE": str(batch),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": str(workspace.scratch / "bentoml"),
        }
        return Launch(command, environ, backend=f"127.0.0.1:{port}")

    return launch


def torchserve(batch: int) -> Callable[[Workspace], Launch]:
    """Start TorchServe; a batch size of 1 turns its batching off."""
    return lambda workspace: java_servers.torchserve(workspace, _environ(workspace), batch)


def multi_model_server(workspace: Workspace) -> Launch:
    """Start multi-model-server with AWS's inference toolkit."""
    return java_servers.multi_model_server(workspace, _environ(workspace))


def nginx_alone(workspace: Workspace) -> Launch:
    """Start nginx alone, which answers itself; the process beside it only waits."""
    return Launch([shutil.which("sleep") or "sleep", "infinity"], _environ(workspace), backend="none")


def _environ(workspace: Workspace, *, threads: str | None = "1") -> dict[str, str]:
    """Return this process's environment without settings of any server, plus the workload's.

    `threads`: of the numeric libraries; None leaves their default.
    """
    server_settings = ("SAGEMAKER_", "SERVE_", "OMP_", "MKL_", "TS_", "ENGINE", "LOG_SAMPLE", "RELEASE_ID")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(server_settings)}
    numeric = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    here = {"PYTHONPATH": str(PROGRAMS), "TMPDIR": str(workspace.scratch), "BODY": str(workspace.body)}
    return {**kept, **numeric, **here, **workspace.workload.environ()}


def all_servers() -> Mapping[str, Server]:
    """Return every server by name, in the order of their trials."""
    rows = [*_ours(), *_peers(), *_baselines()]
    return {server.name: server for server in rows}


def _ours() -> list[Server]:
    """List this project's server by engine; ENGINE=auto uses the engine that was fastest at export."""
    title = "this project"
    return [
        Server("ours-torch", title, "ours", ours("torch")),
        Server("ours-auto", title, "ours", ours("auto"), engine="auto", rows=("T1", "T32")),
        Server("ours-auto-bf16", title, "ours", ours("auto", "bf16"), "auto", "bf16", rows=("M",)),
        Server(
            "ours-torch-batched",
            f"{title}, batch {BATCH}",
            "ours",
            ours("torch", program_batch=BATCH),
            rows=("MB", "MB16"),
        ),
        Server("ours-onnxruntime", title, "ours", ours("onnxruntime"), "onnxruntime", rows=()),
        Server("ours-openvino", title, "ours", ours("openvino"), "openvino", rows=()),
        Server("ours-openvino-bf16", title, "ours", ours("openvino", "bf16"), "openvino", "bf16", rows=()),
    ]


def _peers() -> list[Server]:
    def peer(
        name: str, title: str, launch: Callable[[Workspace], Launch], packages: str, *rows: str
    ) -> Server:
        return Server(name, title, "peer", launch, packages=packages, rows=rows)

    flask_title = "nginx + gunicorn + Flask"
    default_threads = peer(
        "flask-default-threads",
        f"{flask_title}, default threads",
        flask("flask_app", threads=None),
        "flask",
        "T1",
    )
    single = f"{flask_title}, OMP_NUM_THREADS=1"
    with_batch = f", batch {BATCH}"
    return [
        replace(default_threads, max_repetitions=2),
        peer("flask", single, flask("flask_app"), "flask", "T1", "T32", "M"),
        peer("fastapi", "FastAPI + uvicorn", fastapi, "fastapi", "T1", "T32", "M"),
        peer("torchserve", "TorchServe 0.12", torchserve(1), "torchserve", "T1", "T32", "M"),
        peer("torchserve-batched", "TorchServe 0.12" + with_batch, torchserve(BATCH), "torchserve", "T1", "M", "MB", "MB16"),
        peer("litserve", "LitServe", litserve(1), "litserve", "T1", "T32", "M"),
        peer("litserve-batched", "LitServe" + with_batch, litserve(BATCH), "litserve", "T1", "M", "MB", "MB16"),
        peer("bentoml", "BentoML", bentoml(1), "bentoml", "T1", "T32", "M"),
        peer("bentoml-batched", "BentoML" + with_batch, bentoml(BATCH), "bentoml", "T1", "M"),
        peer(
            "multi-model-server", "multi-model-server + sagemaker-inference", multi_model_server,
            "multi-model-server", "T1", "T32", "M",
        ),
    ]  # fmt: skip


def _baselines() -> list[Server]:
    """List the upper limits, and the cost of each layer without a model."""
    return [
        Server(
            "noop-flask", "a no-op through nginx + gunicorn + Flask", "baseline", flask("noop_app"),
            engine="none", packages="flask", has_model=False, rows=("T1",), max_repetitions=2,
        ),
        Server(
            "nginx", "nginx alone", "baseline", nginx_alone, engine="none", has_model=False, rows=("T1",), max_repetitions=2
        ),
        Server("in-process", "in process, two processes, no HTTP", "baseline", nginx_alone, max_repetitions=3),
    ]  # fmt: skip
