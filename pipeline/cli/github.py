"""GitHub's view of a step: a summary on the page of the run, and annotations of errors and warnings.

The summary is written where GITHUB_STEP_SUMMARY is set, and nowhere else.
"""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.markdown import failed, succeeded
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.state.records import StepRecord

log = logging.getLogger(__name__)
PLOTS_SECONDS = 60


def summarise(text: str, environ: Mapping[str, str]) -> None:
    """Append markdown to the page of the run."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a") as page:
            page.write(text)


def write_success(record: "StepRecord", build: Path, environ: Mapping[str, str]) -> None:
    """Append a step that succeeded to the page; a verification with its plots."""
    folder = build / record.environment
    text = _verification(folder, record.started, environ) if record.step == "verify" else ""
    summarise(text or succeeded(record), environ)


def write_failure(
    step: str, error: PipelineError, folder: Path, started: float, environ: Mapping[str, str]
) -> None:
    """Append the error that stopped a step to the page; of a verification that measured, also its plots.

    `folder`: of the environment, where the step leaves its files.
    """
    text = _verification(folder, started, environ) if step == "verify" else ""
    summarise(failed(step, folder.name, error) + text, environ)


def annotation(error: PipelineError) -> str:
    """Return the line that GitHub shows as an error beside the run."""
    return workflow_command("error", str(error), f"{type(error).__name__} (exit code {error.exit_code})")


def workflow_command(level: str, message: str, title: str = "") -> str:
    """Return one of GitHub's workflow commands, as `::warning title=…::message`, on one line."""
    head = f"{level} title={_property(title)}" if title else level
    return f"::{head}::{_message(message)}"


def _verification(folder: Path, started: float, environ: Mapping[str, str]) -> str:
    """Return the load tests' summary of the evidence: gates, capacity, plots.

    Empty without a page, and without evidence that is newer than `started`.
    """
    evidence = folder / "evidence.json"
    if not environ.get("GITHUB_STEP_SUMMARY") or not evidence.is_file():
        return ""
    if evidence.stat().st_mtime < started:
        return ""
    results = sorted(folder.rglob("scaling.json"))
    loads = [word for path in results for word in ("--load", f"{path.stem}={path}")]
    words = [sys.executable, "-m", "load_tests.summary", "--evidence", str(evidence), *loads]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PLOTS_SECONDS)
    if done.returncode != 0:
        log.warning("warning: the summary has no plots: %s", done.stderr.strip()[-300:])
        return ""
    return done.stdout + "\n"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
