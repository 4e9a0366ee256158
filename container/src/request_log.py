"""The log: a JSON object a line. Every error and slow request is in it, and a sampled share of the rest."""

import json
import logging
import os
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from identity import Identity
from invocation import PARTS, Invocation
from limits import BadLimit

SAMPLE_VARIABLE = "LOG_SAMPLE"
SLOW_VARIABLE = "LOG_SLOW_MS"
SAMPLE = 0.01
SLOW_MS = 1000.0


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


@dataclass(frozen=True)
class RequestLog:
    """Writes the lines of one release and instance; `sample` is the share of good, quick requests."""

    identity: Identity
    sample: float = SAMPLE
    slow_ms: float = SLOW_MS
    write: Callable[[str], Any] = _to_stderr
    chance: Callable[[], float] = random.random

    def note(self, invocation: Invocation) -> None:
        """Write a line for this invocation, or not."""
        if (
            invocation.status < 400
            and invocation.total * 1000 < self.slow_ms
            and (self.sample <= 0 or self.chance() >= self.sample)
        ):
            return
        self.write(self._line(invocation))

    def _line(self, invocation: Invocation) -> str:
        parts = {name: round(s * 1000, 3) for name, s in zip(PARTS, invocation.seconds, strict=False)}
        level = "info" if invocation.status < 400 else "warning" if invocation.status < 500 else "error"
        content = {
            "time": _now(),
            "level": level,
            "event": "invocation",
            "status": invocation.status,
            "release": self.identity.release,
            "instance": self.identity.instance,
            "inference_id": invocation.inference_id or None,
            "total_ms": round(invocation.total * 1000, 3),
            **{f"{name}_ms": value for name, value in parts.items()},
            "instances": invocation.instances,
            "batch": invocation.batch,
            "way": invocation.way,
            "worker": os.getpid(),
            **({"error": invocation.error} if invocation.error else {}),
        }
        return json.dumps(content) + "\n"


class JsonLines(logging.Formatter):
    """What Python's logging has to say, in the same form; a traceback is one more field."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": _now(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(content)


def write_python_logging(level: int) -> None:
    """What Python's logging has to say from `level` on goes to the error output, in the log's form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler])


def from_environ(environ: Mapping[str, str], identity: Identity) -> RequestLog:
    """LOG_SAMPLE, a share from 0 to 1, and LOG_SLOW_MS. Raises BadLimit."""
    return RequestLog(
        identity,
        sample=_number(environ, SAMPLE_VARIABLE, SAMPLE, most=1.0),
        slow_ms=_number(environ, SLOW_VARIABLE, SLOW_MS, most=3_600_000.0),
    )


def _number(environ: Mapping[str, str], variable: str, default: float, *, most: float) -> float:
    text = environ.get(variable) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise BadLimit(f"{variable}: expected a number from 0 to {most:g}, got {text!r}")
    return number


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
