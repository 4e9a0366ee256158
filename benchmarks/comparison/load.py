"""wrk, the load generator: one run at one concurrency."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "post.lua"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Measurement:
    """One run of wrk at one concurrency; 0 stands for a measurement within a process."""

    concurrency: int
    requests_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    errors: int


def drive(url: str, body: Path, concurrency: int, seconds: int) -> Measurement:
    """Run wrk: keep `concurrency` requests pending for `seconds` (wrk takes whole seconds only)."""
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s"]
    done = subprocess.run(
        [*command, "-s", str(SCRIPT), url],
        env={**os.environ, "BODY": str(body)},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 2 * TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout, concurrency)


def parse(output: str, concurrency: int) -> Measurement:
    """Read the last line of wrk's output, which post.lua prints."""
    found = json.loads(output.strip().splitlines()[-1])
    rate = (found["requests"] - found["errors"]) / found["seconds"]
    return Measurement(concurrency, max(rate, 0.0), found["p50_ms"], found["p99_ms"], found["errors"])
