"""Every LOCAL_AWS_* variable, in one place: its meaning, its unit, its default."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"
DEFAULT_QUOTA = 20
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local-aws",
    "AWS_SECRET_ACCESS_KEY": "local-aws",
    "AWS_DEFAULT_REGION": REGION,
}
INSTANCE_KINDS = ("auto", "docker", "process")
IAM_MODES = ("off", "enforce")


def user_cache() -> Path:
    """Return the project's folder in this user's caches (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sagemaker-pytorch-release"


def _container_program(name: str) -> tuple[str, ...]:
    """Find `serve` or `train`: container/src/NAME in the working directory, else NAME on PATH."""
    program = Path.cwd() / "container" / "src" / name
    return (sys.executable, str(program)) if program.is_file() else (name,)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field per variable: `time_scale` is LOCAL_AWS_TIME_SCALE, and so on.

    "AWS seconds" are divided by `time_scale`; "real seconds" never are.
    """

    time_scale: float = 30.0
    """AWS seconds per real second, for the durations AWS owns (bakes, alarm periods, cooldowns)."""
    cpu_scale: float = 0.02
    """CPUs an instance gets = vCPUs of its type × this."""
    memory_scale: float = 1.0
    """Memory an instance gets = that of its type × this; one that takes more is killed."""
    instances: str = "auto"
    """`docker`, `process`, or `auto`: Docker where an engine answers."""
    process_command: tuple[str, ...] = field(default_factory=lambda: _container_program("serve"))
    """Command of a process instance (shell words); default: container/src/serve here, else `serve` on PATH."""
    train_command: tuple[str, ...] = field(default_factory=lambda: _container_program("train"))
    """Command of a training job where instances are processes (shell words); found as `process_command` is."""
    state_dir: Path = field(default_factory=lambda: user_cache() / "local-aws")
    """Folder of the records of started instances and of unpacked model data; the next start sweeps it."""
    cache_dir: Path = field(default_factory=user_cache)
    """Folder of the caches kept between runs, by content (registry blobs)."""
    provision_seconds: float = 0.0
    """AWS seconds from launch to healthy, the real start included; a longer start is logged."""
    startup_timeout_seconds: float = 480.0
    """Real seconds until an instance must be healthy, unless the variant has a
    ContainerStartupHealthCheckTimeoutInSeconds."""
    ping_interval_seconds: float = 5.0
    """Real seconds between the pings of a healthy instance."""
    unhealthy_after: int = 6
    """Failed pings in a row until a serving instance is replaced; AWS does not document its number."""
    invocation_timeout_seconds: float = 60.0
    """Real seconds a container may take to answer."""
    stream_timeout_seconds: float = 480.0
    """Real seconds until the end of an answer that is streamed."""
    strict_auth: bool = False
    """Require requests to be signed (SigV4) with known credentials."""
    regions: tuple[str, ...] = (REGION,)
    """The Regions that are served; a call that is signed for another one is refused."""
    iam: str = "off"
    """`enforce`: every call is authorised by IAM's policies, and signed (`strict_auth`); `off`: whoever is known may
    do everything."""
    max_payload_bytes: int = 25 * 1024 * 1024
    """Largest request body of an invocation."""
    drain_seconds: float = 65.0
    """Real seconds that a stopping instance may take for its requests in flight."""
    stop_grace_seconds: float = 30.0
    """Real seconds between SIGTERM and SIGKILL."""
    alarm_poll_seconds: float = 0.1
    """Real seconds between two checks of a deployment's alarms."""
    metrics_seconds: float = 60.0
    """AWS seconds between two publications of utilisation and of zeros where there was no traffic."""

    endpoint_quotas: tuple[str, ...] = ()
    """Instances that endpoints may have, by type: words TYPE=COUNT; *=COUNT is for all other types (20)."""
    oidc_issuers: tuple[str, ...] = ()
    """URLs of the documents of OIDC issuers, where not at the issuer itself: words ISSUER=URL."""
    metric_delay_seconds: float = 0.0
    """AWS seconds until a period of one of AWS's own metrics can be read; 120 to 180 have been seen on AWS."""

    def __post_init__(self) -> None:
        if self.instances not in INSTANCE_KINDS:
            raise ValueError(f"LOCAL_AWS_INSTANCES is {self.instances!r}; use one of {INSTANCE_KINDS}")
        if self.iam not in IAM_MODES:
            raise ValueError(f"LOCAL_AWS_IAM is {self.iam!r}; use one of {IAM_MODES}")
        if min(self.time_scale, self.cpu_scale, self.memory_scale) <= 0:
            raise ValueError("LOCAL_AWS_TIME_SCALE, _CPU_SCALE and _MEMORY_SCALE must be above 0")
        _ = self.issuer_urls, self.quotas

    @property
    def enforces_iam(self) -> bool:
        """Check whether calls are authorised."""
        return self.iam == "enforce"

    @property
    def quotas(self) -> dict[str, int]:
        """`endpoint_quotas` by type."""
        given = dict(_pair("LOCAL_AWS_ENDPOINT_QUOTAS", word) for word in self.endpoint_quotas)
        return {"*": DEFAULT_QUOTA} | {name: int(count) for name, count in given.items()}

    @property
    def issuer_urls(self) -> dict[str, str]:
        """`oidc_issuers` by issuer."""
        return dict(_pair("LOCAL_AWS_OIDC_ISSUERS", word) for word in self.oidc_issuers)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables that are set. Raises ValueError for a misspelt name or an impossible value."""
        known = {variable(f.name): f for f in fields(cls)}
        unknown = sorted(n for n in environ if n.startswith("LOCAL_AWS_") and n not in known)
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]}; the settings are {', '.join(sorted(known))}")
        values = {f.name: _parse(name, f.type, environ[name]) for name, f in known.items() if name in environ}
        return cls(**values)


def _pair(setting: str, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals and value):
        raise ValueError(f"{setting} holds {word!r}, which is not NAME=VALUE")
    return name, value


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"LOCAL_AWS_{name.upper()}"


_PARSERS: dict[Any, Callable[[str], Any]] = {
    float: float,
    int: int,
    str: str,
    bool: lambda text: {"1": True, "true": True, "0": False, "false": False, "": False}[text.lower()],
    Path: lambda text: Path(text).expanduser(),
    tuple[str, ...]: lambda text: tuple(shlex.split(text)),
}


def _parse(name: str, kind: Any, text: str) -> Any:
    try:
        return _PARSERS[kind](text)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name}={text!r} is not a {getattr(kind, '__name__', kind)}") from error
