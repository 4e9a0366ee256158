"""The log: a JSON object a line. Every error is in it, slow requests, and a sampled share of the rest.

Of slow requests a worker writes so many a second and counts the others: in an overload every request is slow, and a
line for each would take an eighth of the CPU just when there is too little of it.
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
class Allowance:
    """So many lines a second; `left_out` counts those that were refused since the last one that was not."""

    lines: int = SLOW_LINES
    now: Callable[[], float] = time.monotonic
    left_out: int = 0
    _second: int = -1
    _written: int = 0

    def take(self) -> bool:
        """Say whether one more line may be written."""
        second = int(self.now())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= self.lines:
            self.left_out += 1
            return False
        self._written += 1
        return True

    def told(self) -> int:
        """How many were left out; from now on none."""
        told, self.left_out = self.left_out, 0
        return told


@dataclass(frozen=True)
class RequestLog:
    """Writes the lines of one release and instance; `sample` is the share of good, quick requests."""

    identity: Identity
    sample: float = SAMPLE
    slow_ms: float = SLOW_MS
    write: Callable[[str], Any] = _to_stderr
    chance: Callable[[], float] = random.random
    slow: Allowance = field(default_factory=Allowance)

    def note(self, invocation: Invocation) -> None:
        """Write a line for this invocation, or not."""
        if self._is_wanted(invocation):
            self.write(self._line(invocation))

    def _is_wanted(self, invocation: Invocation) -> bool:
        if invocation.status >= 400 or (self.sample > 0 and self.chance() < self.sample):
            return True
        return invocation.total * 1000 >= self.slow_ms and self.slow.take()

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
            "way": invocation.way,
            "worker": os.getpid(),
            **({"error": invocation.error} if invocation.error else {}),
            **({"slow_left_out": left_out} if (left_out := self.slow.told()) else {}),
        }
        return json.dumps(content) + "\n"


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
