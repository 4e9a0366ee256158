"""Start, watch and stop nginx and gunicorn."""

import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from serving.platform import identity
from serving.platform.settings import Settings
from serving.platform.supervisor import Supervisor

GUNICORN_CONF = Path(__file__).parents[1] / "http" / "gunicorn_conf.py"
DRAIN_SECONDS = 25  # SageMaker kills 30 s after SIGTERM
SHARED_SOCKET = "invocations.sock"  # of all workers, from which one that is free takes a request
ONE_AT_A_TIME = "one-at-a-time"  # a file that gunicorn makes for a model that wants that
REQUEST_THREADS = 8  # per worker, for requests that Flask answers


def run(settings: Settings, applications: Path, scratch: Path) -> int:
    """Run gunicorn with `wsgi.py` and nginx with `nginx.conf` of `applications`; return the exit code."""
    options = ["--pythonpath", str(applications), "-c", str(GUNICORN_CONF)]
    supervisor = Supervisor()
    supervisor.start(
        "gunicorn",
        [sys.executable, "-m", "gunicorn", *options, "wsgi:app"],
        drain=signal.SIGTERM,
        environ=gunicorn_environ(os.environ, settings, scratch),
    )

    def start_nginx() -> None:
        if settings.nginx:
            config = scratch / "nginx.conf"
            config.write_text(render((applications / "nginx.conf").read_text(), settings, scratch))
            command = [settings.nginx, "-c", str(config), "-p", str(scratch), "-e", "stderr"]
            supervisor.start("nginx", command, drain=signal.SIGQUIT)

    code = supervisor.wait(ready=start_nginx)
    return code if supervisor.stop(DRAIN_SECONDS) else 1


def gunicorn_environ(environ: Mapping[str, str], settings: Settings, scratch: Path) -> dict[str, str]:
    """Return the environment that gunicorn_conf.py reads; it also keeps numeric libraries to their CPUs."""
    behind_nginx = f"unix:{scratch / 'gunicorn.sock'},unix:{scratch / SHARED_SOCKET}"
    return {
        **environ,
        "SERVE_BIND": behind_nginx if settings.nginx else f"{settings.host}:{settings.port}",
        "SERVE_WORKERS": str(settings.plan.workers),
        "SERVE_REQUEST_THREADS": str(REQUEST_THREADS),
        "SERVE_SCRATCH": str(scratch),
        "SERVE_DEVICES": ",".join(settings.plan.devices),
        "SERVE_OWN_SOCKETS": str(scratch) if settings.nginx else "",
        identity.INSTANCE_VARIABLE: settings.identity.instance,
        "OMP_NUM_THREADS": str(settings.plan.engine_threads),
        "MKL_NUM_THREADS": str(settings.plan.engine_threads),
        "OPENBLAS_NUM_THREADS": "1",
    }


def render(template: str, settings: Settings, scratch: Path) -> str:
    """Fill in nginx.conf. Raises KeyError for an unknown name in double braces."""
    values = {
        "scratch": str(scratch),
        "socket": str(scratch / "gunicorn.sock"),
        "shared_socket": str(scratch / SHARED_SOCKET),
        "invocations": "free_worker" if (scratch / ONE_AT_A_TIME).exists() else "workers",
        "connections": str(settings.open_files - 24),  # nginx has a few other files open
        "workers": "\n        ".join(
            f'server "unix:{scratch}/worker-{index}.sock" max_fails=0;'
            for index in range(settings.plan.workers)
        ),
        "host": settings.host,
        "port": str(settings.port),
        "payload_mb": str(settings.limits.payload_mb),
        "timeout_seconds": str(settings.limits.timeout_seconds),
        "drain_seconds": str(DRAIN_SECONDS - 5),
        "identity": settings.identity.header,
        "too_large": settings.limits.too_large,
        "user": "user root;" if os.geteuid() == 0 else "",  # it has no right to become another
    }
    return re.sub(r"{{(\w+)}}", lambda found: values[found[1]], template)
