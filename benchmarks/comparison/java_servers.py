"""TorchServe and multi-model-server: Java in front, Python workers behind, settings in files."""

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.comparison.running import Launch, free_port
from benchmarks.comparison.workspace import PROGRAMS, Workspace

WORKERS = 2
BATCH_WAIT_MS = 5
ERRORS_ONLY_LOG = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration><Loggers><Root level="error"/></Loggers></Configuration>
"""


def torchserve(workspace: Workspace, environ: dict[str, str], batch: int) -> Launch:
    """Start TorchServe with one model and two workers; with batching it waits up to 5 ms for a batch to fill."""
    binaries, store = workspace.python.parent, workspace.scratch / "store"
    store.mkdir()
    archiver = [str(binaries / "torch-model-archiver"), "--model-name", "m", "--version", "1.0"]
    archiver += ["--handler", str(PROGRAMS / "torchserve_handler.py"), "--export-path", str(store)]
    _run([*archiver, "--extra-files", str(PROGRAMS / "workload.py")], environ)
    port = free_port()
    model = {
        "1.0": {
            "defaultVersion": True,
            "marName": "m.mar",
            "minWorkers": WORKERS,
            "maxWorkers": WORKERS,
            "batchSize": batch,
            "maxBatchDelay": BATCH_WAIT_MS if batch > 1 else 1,
            "responseTimeout": 120,
        }
    }
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "model_store": store,
        "load_models": "m.mar",
        "models": json.dumps({"m": model}),
        "job_queue_size": 1000,
        "disable_token_authorization": "true",
        "disable_system_metrics": "true",
    }
    config = _properties(workspace.scratch / "config.properties", settings)
    log = workspace.scratch / "log4j2.xml"
    log.write_text(ERRORS_ONLY_LOG)
    command = [str(binaries / "torchserve"), "--start", "--foreground", "--no-config-snapshots"]
    command += ["--model-store", str(store), "--ts-config", str(config), "--log-config", str(log)]
    path = {**environ, "PATH": f"{binaries}:{environ['PATH']}", "LOG_LOCATION": str(workspace.scratch)}
    return Launch(command, path, backend=f"127.0.0.1:{port}", path="/predictions/m")


def multi_model_server(workspace: Workspace, environ: dict[str, str]) -> Launch:
    """Start multi-model-server with AWS's inference toolkit: the archive's own inference.py, or one for the digits."""
    binaries, store = workspace.python.parent, workspace.scratch / "store"
    model = store / "m"
    _write_toolkit_model(model, workspace.workload.model_dir)
    port = free_port()
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "default_workers_per_model": WORKERS,
        "job_queue_size": 1000,
        "default_response_timeout": 120,
        "decode_input_request": "false",  # the toolkit decodes it
        "model_store": store,
        "load_models": "m=m",
    }
    config = _properties(workspace.scratch / "mms.properties", settings)
    log = workspace.scratch / "log4j2.xml"
    log.write_text(ERRORS_ONLY_LOG)
    command = [str(binaries / "multi-model-server"), "--start", "--foreground", "--mms-config", str(config)]
    command += ["--log-config", str(log), "--model-store", str(store), "--models", "m=m"]
    path = {
        **environ,
        "PATH": f"{binaries}:{environ['PATH']}",
        "PYTHONPATH": f"{environ['PYTHONPATH']}:{model / 'code'}",
        "SAGEMAKER_BASE_DIR": str(workspace.scratch),
    }
    return Launch(command, path, backend=f"127.0.0.1:{port}", path="/predictions/m")


def _write_toolkit_model(model: Path, model_dir: Path) -> None:
    """Write the folder of a model as multi-model-server expects it."""
    own = model_dir / "code"
    if own.is_dir():
        shutil.copytree(own, model / "code")
    else:
        (model / "code").mkdir(parents=True)
        shutil.copy(PROGRAMS / "toolkit_inference.py", model / "code" / "inference.py")
    shutil.copy(PROGRAMS / "toolkit_service.py", model)
    (model / "model.safetensors").symlink_to(model_dir / "model.safetensors")
    manifest = {
        "runtime": "python",
        "model": {"modelName": "m", "handler": "toolkit_service.py:handle"},
        "modelServerVersion": "1.0",
        "implementationVersion": "1.0",
        "specificationVersion": "1.0",
    }
    (model / "MAR-INF").mkdir()
    (model / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))


def _properties(file: Path, settings: dict[str, object]) -> Path:
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return file


def _run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1000:]}")
