"""Load the deployed endpoint in one of the shapes of config/shapes, and judge latency and errors."""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Environment
from pipeline.errors import ConfigError
from pipeline.gates import ENOUGH_REQUESTS, Gate, Limit, judge
from pipeline.verification.load import ROOT, LoadResult, Phase, run_load

log = logging.getLogger(__name__)

TOOL_SECONDS = 60.0


@dataclass(frozen=True)
class LoadTestOptions:
    """The requested load. `payloads`: a file or FILE.py:FUNCTION instead of the release's golden set.

    `share`: the number of generators, of which this is one. `at`: epoch seconds at which it begins.
    """

    shape: str
    minutes: float | None = None
    times_rate: float = 1.0
    workers: int = 1
    payloads: str | None = None
    share: int | None = None
    at: float | None = None


def shape_phases(shape: str, minutes: float | None = None, times_rate: float = 1.0) -> tuple[Phase, ...]:
    """Return a shape's phases, by the load tests. Raises ConfigError with their message for an invalid shape."""
    command = [sys.executable, "-m", "load_tests.shapes", shape, "--times-rate", str(times_rate)]
    command += [] if minutes is None else ["--minutes", str(minutes)]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
    )
    if answer.returncode != 0:
        raise ConfigError(
            f"The shape cannot be used: {answer.stderr.strip()}",
            fix="Name one of config/shapes, or correct its file.",
        )
    return tuple(Phase(**phase) for phase in json.loads(answer.stdout)["phases"])


def run_shape(env: Environment, options: LoadTestOptions, payloads: Path | str, out: Path) -> LoadResult:
    """Load the endpoint of `env` in a shape, with this generator's share of the rates."""
    phases = shape_phases(options.shape, options.minutes, options.times_rate / (options.share or 1))
    seconds, workers = sum(phase.seconds for phase in phases), options.workers
    log.info(f"load: {options.shape} on {env.endpoint.name} for {seconds:.0f} s by {workers} process(es)")
    return run_load(env.endpoint.name, payloads, phases, out, workers=workers)


def judge_shape(result: LoadResult, env: Environment, shape: str) -> tuple[Gate, Gate]:
    """Judge the slowest phase's latency, and the failures of all."""
    judged = [phase for phase in result.phases if phase.requests >= ENOUGH_REQUESTS]
    slowest = max((p for p in judged if p.p99_ms is not None), key=lambda p: p.p99_ms or 0.0, default=None)
    invalid = next((phase.invalid for phase in judged if phase.invalid), None)
    requests = sum(phase.requests for phase in result.phases)
    failures = sum(phase.failures for phase in result.phases)
    latency = Limit(
        name=f"latency under {shape}",
        metric="p99_ms",
        at_most=env.limits.p99_ms,
        unit="ms",
        passed_reason=f"99 of 100 answers came within the limit in each phase of {shape}",
    )
    errors = Limit(
        name=f"errors under {shape}",
        metric="error_percent",
        at_most=env.limits.error_percent,
        unit="%",
        passed_reason=f"the load of {shape} was answered",
        needs_samples=ENOUGH_REQUESTS,
    )
    p99 = slowest.p99_ms if slowest else None
    if invalid and (p99 is None or p99 > latency.at_most):
        p99 = None  # the generator's lateness may be the cause
    few = f"no phase had {ENOUGH_REQUESTS} requests that were answered"
    return (
        judge(latency, p99, why_not_measured=invalid or few),
        judge(errors, 100 * failures / requests if requests else None, samples=requests),
    )
