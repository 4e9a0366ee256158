"""Limits on the size, duration and batching of requests; the defaults are SageMaker's own."""

from collections.abc import Mapping
from dataclasses import dataclass

PAYLOAD_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
TIMEOUT_VARIABLES = (  # the first that is set; the others are other servers' names for it
    "SAGEMAKER_MODEL_SERVER_TIMEOUT",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    "SAGEMAKER_TS_RESPONSE_TIMEOUT",
)
STREAM_VARIABLE = "SERVE_STREAM_TIMEOUT"
STARTUP_VARIABLE = "SAGEMAKER_STARTUP_TIMEOUT"
GOLDEN_VARIABLE = "SERVE_GOLDEN_SECONDS"
BATCH_VARIABLE = "SAGEMAKER_TS_BATCH_SIZE"
DELAY_VARIABLE = "SAGEMAKER_TS_MAX_BATCH_DELAY"  # milliseconds
BATCH_INSTANCES = 64
MOST_BATCH_INSTANCES = 4096
PADDING_VARIABLE = "SERVE_BATCH_PADDING"  # such as input_ids=0,attention_mask=0
PAYLOAD_MB = 25
TIMEOUT_SECONDS = 60
STREAM_SECONDS = 480
STARTUP_SECONDS = 600
GOLDEN_SECONDS = 60


class BadLimit(ValueError):
    """A limit in the environment that is not a number in its range."""


@dataclass(frozen=True)
class Limits:
    """Limits that hold in nginx.conf and in the application."""

    payload_mb: int
    timeout_seconds: int
    stream_seconds: int = STREAM_SECONDS  # for the whole of an answer in parts
    startup_seconds: int = STARTUP_SECONDS  # for a worker to load its model
    golden_seconds: int = GOLDEN_SECONDS  # of these, for it to answer golden cases
    batch_instances: int = BATCH_INSTANCES  # in a batch, unless one request has more; 1: no batching
    batch_delay_seconds: float = 0.0  # a request's longest wait for others; 0: no waiting

    @property
    def payload_bytes(self) -> int:
        return self.payload_mb * 1024 * 1024

    @property
    def too_large(self) -> str:
        """The error sentence of a 413."""
        return f"body: expected at most {self.payload_mb} MB, got more"


def from_environ(environ: Mapping[str, str]) -> Limits:
    """Read the limits. Raises BadLimit, which names the variable and its range."""
    timeout = next((name for name in TIMEOUT_VARIABLES if environ.get(name)), TIMEOUT_VARIABLES[0])
    return Limits(
        payload_mb=whole_number(environ, PAYLOAD_VARIABLE, PAYLOAD_MB, most=1024),
        timeout_seconds=whole_number(environ, timeout, TIMEOUT_SECONDS, most=3600),
        stream_seconds=whole_number(environ, STREAM_VARIABLE, STREAM_SECONDS, most=3600),
        startup_seconds=whole_number(environ, STARTUP_VARIABLE, STARTUP_SECONDS, most=3600),
        golden_seconds=whole_number(environ, GOLDEN_VARIABLE, GOLDEN_SECONDS, most=3600),
        batch_instances=whole_number(environ, BATCH_VARIABLE, BATCH_INSTANCES, most=MOST_BATCH_INSTANCES),
        batch_delay_seconds=whole_number(environ, DELAY_VARIABLE, 0, least=0, most=10_000) / 1000,
    )


def program_batch_instances(environ: Mapping[str, str]) -> int:
    """Read the largest batch for a user's program: 1 by default, as in TorchServe. Raises BadLimit."""
    return whole_number(environ, BATCH_VARIABLE, 1, most=MOST_BATCH_INSTANCES)


def batch_padding(environ: Mapping[str, str]) -> dict[str, float]:
    """Read which arrays of an input are padded, and with what. Raises BadLimit."""
    text = environ.get(PADDING_VARIABLE) or ""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {name.strip(): _number(value) for name, value in pairs}
    except ValueError:
        raise BadLimit(
            f"{PADDING_VARIABLE}: expected names with numbers, such as input_ids=0,attention_mask=0, got {text!r}"
        ) from None


def _number(text: str) -> float:
    return int(text) if text.strip().lstrip("-").isdigit() else float(text)


def whole_number(
    environ: Mapping[str, str], variable: str, default: int, *, most: int, least: int = 1
) -> int:
    """Read a whole number from `least` to `most` from the environment. Raises BadLimit."""
    text = environ.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise BadLimit(f"{variable}: expected a whole number from {least} to {most}, got {text!r}")
    return int(text)
