"""Start the project's own commands as a person would, keep what they print, and stop them again."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rehearsal.machine import ROOT, RehearsalError

READY_SECONDS = 30.0
STOP_SECONDS = 60.0


def run(words: list[str], environ: Mapping[str, str], log: Path, on_line: Callable[[str], None]) -> None:
    """Run `python -m WORDS`, passing on each line; raise RehearsalError with its exit code if it fails."""
    with log.open("w") as out, _started(words, environ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            out.write(line)
            out.flush()
            if line.strip():
                on_line(line)
        code = process.wait()
    if code != 0:
        tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise RehearsalError(
            f"`python -m {' '.join(words)}` ended with exit code {code}:\n{tail}",
            fix=f"The lines above say what it needs; the whole log is {log}.",
            exit_code=code if code > 0 else 1,
        )


@contextlib.contextmanager
def _started(words: list[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=ROOT, env={**environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a command by SIGTERM, by SIGKILL when it has not gone in time."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def local_aws(instances: str, log: Path, environ: Mapping[str, str] = os.environ) -> Iterator[dict[str, str]]:
    """Have an AWS on this machine; yield the environment in which every client finds it."""
    wanted = {**environ, "LOCAL_AWS_INSTANCES": instances}
    exports: dict[str, str] = {}
    ready = threading.Event()
    with log.open("w") as out, _started(["local_aws", "up"], wanted) as process:
        reader = threading.Thread(
            target=_read_exports, args=(process, out.write, exports, ready), daemon=True
        )
        reader.start()
        if not ready.wait(READY_SECONDS) or process.poll() is not None:
            out.flush()
            raise RehearsalError(f"The local AWS did not start:\n{log.read_text()}", fix=f"Read {log}.")
        yield {**wanted, **exports}
        stop(process)
        reader.join(STOP_SECONDS)


def _read_exports(
    process: subprocess.Popen[str],
    write: Callable[[str], object],
    exports: dict[str, str],
    ready: threading.Event,
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        write(line)
        exports.update(re.findall(r"\b(AWS_\w+)=(\S+)", line) if line.startswith("export ") else [])
        if {"AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"} <= exports.keys():
            ready.set()
    ready.set()  # it ended: whoever waits finds it so
