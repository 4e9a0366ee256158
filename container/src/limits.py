"""How large and how slow a request may be: SageMaker's own limits, unless the environment says less."""

from collections.abc import Mapping
from dataclasses import dataclass

PAYLOAD_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
TIMEOUT_VARIABLES = (  # the first that is set; the others are other servers' words for it
    "SAGEMAKER_MODEL_SERVER_TIMEOUT",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    "SAGEMAKER_TS_RESPONSE_TIMEOUT",
)
STARTUP_VARIABLE = "SAGEMAKER_STARTUP_TIMEOUT"
PAYLOAD_MB = 25
TIMEOUT_SECONDS = 60
STARTUP_SECONDS = 600


class BadLimit(ValueError):  # noqa: N818  # named for what happened
    """A limit in the environment that is not a number in its range."""


@dataclass(frozen=True)
class Limits:
    """The same values go into nginx.conf and into the application."""

    payload_mb: int
    timeout_seconds: int
    startup_seconds: int = STARTUP_SECONDS  # for a worker to load its model

    @property
    def payload_bytes(self) -> int:
        return self.payload_mb * 1024 * 1024

    @property
    def too_large(self) -> str:
        """The sentence of a 413."""
        return f"body: expected at most {self.payload_mb} MB, got more"


def from_environ(environ: Mapping[str, str]) -> Limits:
    """Read the limits; raises BadLimit with the variable's name and range."""
    timeout = next((name for name in TIMEOUT_VARIABLES if environ.get(name)), TIMEOUT_VARIABLES[0])
    return Limits(
        payload_mb=whole_number(environ, PAYLOAD_VARIABLE, PAYLOAD_MB, most=1024),
        timeout_seconds=whole_number(environ, timeout, TIMEOUT_SECONDS, most=3600),
        startup_seconds=whole_number(environ, STARTUP_VARIABLE, STARTUP_SECONDS, most=3600),
    )


def whole_number(environ: Mapping[str, str], variable: str, default: int, *, most: int) -> int:
    """A whole number from 1 to `most` out of the environment; raises BadLimit."""
    text = environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise BadLimit(f"{variable}: expected a whole number from 1 to {most}, got {text!r}")
    return int(text)
