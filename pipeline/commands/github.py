"""What GitHub shows of a step that it runs: a summary on the run's page, annotations of what failed.

Elsewhere, where GITHUB_STEP_SUMMARY and GITHUB_ACTIONS are not set, nothing is written.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.commands.markdown import failed, succeeded
from pipeline.errors import PipelineError
from pipeline.state.records import StepRecord

Say = Callable[[str], None]

PLOTS_SECONDS = 60


def summarise(text: str, environ: Mapping[str, str]) -> None:
    """Append markdown to the page of the run."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a") as page:
            page.write(text)


def tell_success(record: StepRecord, build: Path, environ: Mapping[str, str], say: Say) -> None:
    """Put a step that succeeded on the page; a verification with its plots."""
    folder = build / record.environment
    text = _verification(folder, record.started, environ, say) if record.step == "verify" else ""
    summarise(text or succeeded(record), environ)


def tell_failure(
    step: str,
    error: PipelineError,
    folder: Path,
    started: float,
    environ: Mapping[str, str],
    say: Say,
) -> None:
    """Put what stopped a step on the page; a verification that measured with its plots.

    `folder`: of the environment, where the step leaves its files.
    """
    text = _verification(folder, started, environ, say) if step == "verify" else ""
    summarise(failed(step, folder.name, error) + text, environ)


def annotation(error: PipelineError) -> str:
    """Return the line that GitHub shows as an error beside the run."""
    title = f"{type(error).__name__} (exit code {error.exit_code})"
    return f"::error title={_property(title)}::{_message(str(error))}"


def _verification(folder: Path, started: float, environ: Mapping[str, str], say: Say) -> str:
    """Have the load tests' own summary of the evidence: gates, capacity, plots. Empty without evidence of
    this run.
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
        say(f"warning: the summary has no plots: {done.stderr.strip()[-300:]}")
        return ""
    return done.stdout + "\n"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
