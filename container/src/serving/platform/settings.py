"""The decisions that `serve` makes before it starts a process."""

import resource
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from serving.platform import cpus, identity, limits

OPEN_FILES = 8192  # nginx needs two for a request


@dataclass(frozen=True)
class Settings:
    """Address, processes, identity and limits of one start of `serve`."""

    host: str
    port: int
    plan: cpus.Plan
    identity: identity.Identity
    limits: limits.Limits
    nginx: str | None  # its path; None where there is none on PATH
    open_files: int

    def __str__(self) -> str:
        front = "nginx before gunicorn" if self.nginx else "gunicorn alone, as there is no nginx on PATH"
        return f"{self.plan}; {front}; port {self.port}; {self.identity.header}"


def decide(environ: Mapping[str, str], available: float, gpus: tuple[str, ...], open_files: int) -> Settings:
    """Read the settings from the environment. Raises ValueError with one sentence for a bad variable."""
    return Settings(
        host=environ.get("SERVE_HOST") or "0.0.0.0",  # noqa: S104  # SageMaker connects from outside
        port=limits.whole_number(environ, "SAGEMAKER_BIND_TO_PORT", 8080, most=65535),
        plan=cpus.plan(available, environ, gpus),
        identity=identity.from_environ(environ),
        limits=limits.from_environ(environ),
        nginx=shutil.which("nginx", path=environ.get("PATH")),
        open_files=open_files,
    )


def check_port(settings: Settings) -> None:
    """Raise ValueError if the port is taken: nginx and gunicorn would retry for seconds before failing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise ValueError(f"cannot listen on {where}: {error.strerror}") from error


def allow_open_files() -> int:
    """Raise this process's limit of open files to OPEN_FILES or the system's own; return the limit."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted
