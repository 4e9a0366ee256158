"""The servers that are compared, and how each is started: one engine thread a worker, two workers, no access log."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks.comparison import java_servers
from benchmarks.comparison.environments import ROOT
from benchmarks.comparison.running import Launch, free_port
from benchmarks.comparison.site import PROGRAMS, Site

BATCH = 32
WORKERS = "2"
GUNICORN = ["-m", "gunicorn", "-k", "sync", "-w", WORKERS, "--log-level", "error"]


@dataclass(frozen=True)
class Server:
    """One row of the table. `kind` is ours, peer or limit; `packages` names its virtual environment.

    `rows` are the workloads of a run that names no servers: where a request is a batch already (T32), none
    that batches as well, so that a whole run stays within 75 minutes; `most` caps its repetitions there.
    """

    name: str
    title: str
    kind: str
    launch: Callable[[Site], Launch]
    engine: str = "torch"
    precision: str = "fp32"
    packages: str | None = None
    has_model: bool = True
    rows: tuple[str, ...] = ("T1", "T32", "M")
    most: int = 100


def ours(engine: str, precision: str = "fp32") -> Callable[[Site], Launch]:
    """`serve`, as it is in the image: its own nginx, its own plan of workers and threads."""

    def launch(site: Site) -> Launch:
        base = site.scratch / "ml"
        base.mkdir()
        (base / "model").symlink_to(site.workload.model_dir)
        environ = {
            **_environ(site, threads=None),
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(site.port),
            "SERVE_HOST": "127.0.0.1",
            "ENGINE": engine,
            "ENGINE_PRECISION": precision,
        }
        return Launch([sys.executable, str(ROOT / "container" / "src" / "serve")], environ)

    return launch


def flask(app: str, *, threads: str | None = "1") -> Callable[[Site], Launch]:
    """Gunicorn's sync workers behind nginx, as in AWS's examples."""

    def launch(site: Site) -> Launch:
        address = f"unix:{site.scratch / 'app.sock'}"
        command = [str(site.python), *GUNICORN, "--chdir", str(PROGRAMS), "-b", address, f"{app}:app"]
        return Launch(command, _environ(site, threads=threads), backend=address)

    return launch


def fastapi(site: Site) -> Launch:
    port = str(free_port())
    command = [
        *(str(site.python), "-m", "uvicorn", "--app-dir", str(PROGRAMS), "fastapi_app:app"),
        *("--host", "127.0.0.1", "--port", port, "--workers", WORKERS),
        *("--no-access-log", "--log-level", "error", "--loop", "uvloop", "--http", "httptools"),
    ]
    return Launch(command, _environ(site), backend=f"127.0.0.1:{port}")


def litserve(batch: int) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        port = str(free_port())
        command = [str(site.python), str(PROGRAMS / "litserve_app.py"), port, str(batch)]
        return Launch(command, _environ(site), backend=f"127.0.0.1:{port}")

    return launch


def bentoml(batch: int) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        port = str(free_port())
        command = [str(site.python), "-m", "bentoml", "serve", "bentoml_app:Service", "--port", port]
        command += ["--host", "127.0.0.1", "--working-dir", str(PROGRAMS), "--timeout", "120"]
        environ = {
            **_environ(site),
            "BATCH_SIZE": str(batch),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_HOME": str(site.scratch / "bentoml"),
        }
        return Launch(command, environ, backend=f"127.0.0.1:{port}")

    return launch


def torchserve(batch: int) -> Callable[[Site], Launch]:
    return lambda site: java_servers.torchserve(site, _environ(site), batch)


def multi_model_server(site: Site) -> Launch:
    return java_servers.multi_model_server(site, _environ(site))


def nginx_alone(site: Site) -> Launch:
    """Nginx answers by itself; the process beside it only waits."""
    return Launch([shutil.which("sleep") or "sleep", "infinity"], _environ(site), backend="none")


def _environ(site: Site, *, threads: str | None = "1") -> dict[str, str]:
    """This environment without what would steer a server, and the workload's; None: the default threads."""
    steering = ("SAGEMAKER_", "SERVE_", "OMP_", "MKL_", "TS_", "ENGINE", "LOG_SAMPLE", "RELEASE_ID")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    numeric = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    here = {"PYTHONPATH": str(PROGRAMS), "TMPDIR": str(site.scratch), "BODY": str(site.body)}
    return {**kept, **numeric, **here, **site.workload.environ()}


def all_servers() -> Mapping[str, Server]:
    """Every row by its name, in the order in which they take turns."""
    rows = [*_ours(), *_peers(), *_limits()]
    return {server.name: server for server in rows}


def _ours() -> list[Server]:
    """By engine; ENGINE=auto takes what was measured when the model was exported."""
    title = "this project"
    return [
        Server("ours-torch", title, "ours", ours("torch")),
        Server("ours-auto", title, "ours", ours("auto"), engine="auto", rows=("T1", "T32")),
        Server("ours-auto-bf16", title, "ours", ours("auto", "bf16"), "auto", "bf16", rows=("M",)),
        Server("ours-onnxruntime", title, "ours", ours("onnxruntime"), "onnxruntime", rows=()),
        Server("ours-openvino", title, "ours", ours("openvino"), "openvino", rows=()),
        Server("ours-openvino-bf16", title, "ours", ours("openvino", "bf16"), "openvino", "bf16", rows=()),
    ]


def _peers() -> list[Server]:
    def peer(name: str, title: str, launch: Callable[[Site], Launch], packages: str, *rows: str) -> Server:
        return Server(name, title, "peer", launch, packages=packages, rows=rows)

    classic = "nginx + gunicorn + Flask"
    slow = peer(
        "flask-default-threads",
        f"{classic}, default threads",
        flask("flask_app", threads=None),
        "flask",
        "T1",
    )
    single = f"{classic}, OMP_NUM_THREADS=1"
    with_batch = f", batch {BATCH}"
    return [
        replace(slow, most=2),
        peer("flask", single, flask("flask_app"), "flask", "T1", "T32", "M"),
        peer("fastapi", "FastAPI + uvicorn", fastapi, "fastapi", "T1", "T32", "M"),
        peer("torchserve", "TorchServe 0.12", torchserve(1), "torchserve", "T1", "T32", "M"),
        peer("torchserve-batched", "TorchServe 0.12" + with_batch, torchserve(BATCH), "torchserve", "T1", "M"),
        peer("litserve", "LitServe", litserve(1), "litserve", "T1", "T32", "M"),
        peer("litserve-batched", "LitServe" + with_batch, litserve(BATCH), "litserve", "T1", "M"),
        peer("bentoml", "BentoML", bentoml(1), "bentoml", "T1", "T32", "M"),
        peer("bentoml-batched", "BentoML" + with_batch, bentoml(BATCH), "bentoml", "T1", "M"),
        peer(
            "multi-model-server", "multi-model-server + sagemaker-inference", multi_model_server,
            "multi-model-server", "T1", "T32", "M",
        ),
    ]  # fmt: skip


def _limits() -> list[Server]:
    """What no server can pass, and what any server of a kind pays."""
    return [
        Server(
            "noop-flask", "a no-op through nginx + gunicorn + Flask", "limit", flask("noop_app"),
            engine="none", packages="flask", has_model=False, rows=("T1",), most=2,
        ),
        Server(
            "nginx", "nginx alone", "limit", nginx_alone, engine="none", has_model=False, rows=("T1",), most=2
        ),
        Server("in-process", "in process, two processes, no HTTP", "limit", nginx_alone, most=3),
    ]  # fmt: skip
