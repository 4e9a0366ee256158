"""The log of invocations, a JSON object a line: all errors, slow requests, and a sample of the rest.

Each worker logs a limited number of slow requests a second and counts the others. In an overload every
request is slow, and a line for each would take an eighth of the CPU.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.http.invocation import PARTS, Invocation
from serving.platform.identity import Identity
from serving.platform.json_logging import timestamp
from serving.platform.limits import BadLimit

SAMPLE_VARIABLE = "LOG_SAMPLE"
SLOW_VARIABLE = "LOG_SLOW_MS"
SAMPLE = 0.01
SLOW_MS = 1000.0
SLOW_LINES = 10  # a second, of each worker


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


@dataclass
class LineLimit:
    """At most `lines` a second; `left_out` counts the refused ones since `reset_left_out`."""

    lines: int = SLOW_LINES
    now: Callable[[], float] = time.monotonic
    left_out: int = 0
    _second: int = -1
    _written: int = 0

    def allows_another(self) -> bool:
        """Return True, and count the line, unless this second's lines are used up."""
        second = int(self.now())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= self.lines:
            self.left_out += 1
            return False
        self._written += 1
        return True

    def reset_left_out(self) -> int:
        """Set the count of refused lines to 0, and return what it was."""
        count, self.left_out = self.left_out, 0
        return count


@dataclass(frozen=True)
class RequestLog:
    """The log of one release and instance; `sample` is the logged share of good, quick requests."""

    identity: Identity
    sample: float = SAMPLE
    slow_ms: float = SLOW_MS
    write: Callable[[str], Any] = _to_stderr
    chance: Callable[[], float] = random.random
    slow: LineLimit = field(default_factory=LineLimit)

    def record(self, invocation: Invocation) -> None:
        """Write a line for this invocation if it failed, was slow or is in the sample."""
        if self._is_wanted(invocation):
            self.write(self._line(invocation))

    def _is_wanted(self, invocation: Invocation) -> bool:
        if invocation.status >= 400 or (self.sample > 0 and self.chance() < self.sample):
            return True
        return invocation.total * 1000 >= self.slow_ms and self.slow.allows_another()

    def _line(self, invocation: Invocation) -> str:
        parts = {name: round(s * 1000, 3) for name, s in zip(PARTS, invocation.seconds, strict=False)}
        level = "info" if invocation.status < 400 else "warning" if invocation.status < 500 else "error"
        content = {
            "time": timestamp(),
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
            "server": invocation.server,
            "worker": os.getpid(),
            **({"error": invocation.error} if invocation.error else {}),
            **({"slow_left_out": left_out} if (left_out := self.slow.reset_left_out()) else {}),
        }
        return json.dumps(content) + "\n"


def from_environ(environ: Mapping[str, str], identity: Identity) -> RequestLog:
    """Read LOG_SAMPLE, a share from 0 to 1, and LOG_SLOW_MS. Raises BadLimit."""
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
