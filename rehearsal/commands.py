"""Start the project's own commands as a person would, keep their output in a log, and stop them again."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

READY_SECONDS = 30.0
STOP_SECONDS = 60.0


def run(words: list[str], environ: Mapping[str, str], log: Path, on_line: Callable[[str], None]) -> None:
    """Run `python -m WORDS`; call `on_line` with each line of output.

    Raises RehearsalError, with the command's exit code and its last lines, if it fails.
    """
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
            fix=f"Read the lines above; the whole log is {log}.",
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
    """End a command by SIGTERM, and by SIGKILL if it still runs after STOP_SECONDS."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def local_aws(
    own: Mapping[str, str], log: Path, environ: Mapping[str, str] = os.environ
) -> Iterator[dict[str, str]]:
    """Run an AWS on this machine; yield the environment variables with which every client finds it.

    It authorises each call, unless LOCAL_AWS_IAM=off. `own`: its settings, by the names of their variables.
    """
    settings = {"LOCAL_AWS_IAM": "enforce", **environ, **own}
    exports: dict[str, str] = {}
    ready = threading.Event()
    with log.open("w") as out, _started(["local_aws", "up"], settings) as process:
        reader = threading.Thread(
            target=_read_exports, args=(process, out.write, exports, ready), daemon=True
        )
        reader.start()
        if not ready.wait(READY_SECONDS) or process.poll() is not None:
            out.flush()
            raise RehearsalError(f"The local AWS did not start:\n{log.read_text()}", fix=f"Read {log}.")
        yield {**settings, **exports}
        stop(process)
        reader.join(STOP_SECONDS)


def _read_exports(
    process: subprocess.Popen[str],
    write: Callable[[str], object],
    exports: dict[str, str],
    ready: threading.Event,
) -> None:
    """Copy the output of `local_aws up` and collect its `export` lines; set `ready` when all are there."""
    assert process.stdout is not None
    for line in process.stdout:
        write(line)
        exports.update(re.findall(r"\b(AWS_\w+)=(\S+)", line) if line.startswith("export ") else [])
        if {"AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"} <= exports.keys():
            ready.set()
    ready.set()  # the process has ended; the waiting thread checks that
