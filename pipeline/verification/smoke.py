"""Run the smoke tests against a live endpoint as their own program, and read their report."""

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pipeline.gates import Gate, Limit, judge
from pipeline.publishing.compatibility import LABEL, labels_of
from pipeline.release import Release
from pipeline.run import Run

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "container"
PAYLOAD_VARIABLE, PAYLOAD_MB = "SAGEMAKER_MAX_PAYLOAD_IN_MB", "25"  # the container's, and its default
FAILURES_SHOWN = 3  # in a verdict; the log has all
BOUND_SECONDS = 180.0  # they take under 30 s; an endpoint without timely answers is cut off here


@dataclass(frozen=True)
class SmokeResult:
    """The number of tests that ran, and the messages of those that failed. `problem`: why they could not run.

    `notes`: what a verdict must say of what was compared, and of warnings.
    """

    tests: int
    failed: tuple[str, ...]
    seconds: float
    report: Path
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.tests > 0 and not self.failed and not self.problem


def run_smoke(release: Release, run: Run, golden: Path) -> SmokeResult:
    """Run the smoke tests: this release must answer correctly from the minimum number of instances."""
    report = (run.build / run.env.name / "smoke.xml").resolve()
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "smoke_tests", "-q", "-p", "no:cacheprovider"]
    command += ["--endpoint", run.env.endpoint.name, "--golden", str(golden.resolve())]
    command += ["--release", release.id, *api_options(release)]
    command += ["--instances", str(run.env.autoscaling.min_instances)]
    command += ["--latency-budget-ms", str(run.env.limits.p99_ms), "--junitxml", str(report)]
    command += ["--payload-limit-mb", run.env.endpoint.environment.get(PAYLOAD_VARIABLE, PAYLOAD_MB)]
    output_path = report.with_suffix(".log")
    problem = ""
    with output_path.open("wb") as output:
        try:
            subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, timeout=BOUND_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            problem = f"the smoke tests did not end within {BOUND_SECONDS:.0f} s, see {output_path}"
    result = read_report(report, problem or f"the smoke tests left no report, see {output_path}")
    for name in result.failed:
        log.info(f"smoke: {name}")
    for note in result.notes:
        log.info(f"smoke: {note}")
    log.info(f"smoke: {result.tests - len(result.failed)} of {result.tests} passed in {result.seconds:.1f} s")
    return result


def api_options(release: Release, container: Path = CONTAINER) -> list[str]:
    """Return the option that names the API description here, if the weights were made for it; else none.

    Another model's API is unknown: its smoke tests send golden requests only.
    """
    fits = release.weights.fits
    if fits is None or fits.request_response != labels_of(container).get(f"{LABEL}.request-response"):
        return []
    return ["--openapi", str(container / "openapi.json")]


def read_report(report: Path, problem: str) -> SmokeResult:
    """Read pytest's JUnit XML; `problem`: the reason when there is none."""
    try:
        suites = ElementTree.parse(report).getroot()  # noqa: S314 - written by our own pytest
    except (OSError, ElementTree.ParseError):
        return SmokeResult(0, (), 0.0, report, problem)
    cases = [case for suite in suites.iter("testsuite") for case in suite.iter("testcase")]
    skipped = [case for case in cases if case.find("skipped") is not None]
    failed = tuple(
        f"{case.get('name')}: {_first_line(outcome)}"
        for case in cases
        for outcome in [*case.findall("failure"), *case.findall("error")][:1]
    )
    seconds = sum(float(suite.get("time", 0)) for suite in suites.iter("testsuite"))
    tests = len(cases) - len(skipped)
    return SmokeResult(
        tests,
        failed,
        seconds,
        report,
        notes=_notes(suites, [_first_line(each) for each in suites.iter("skipped")]),
    )


def judge_smoke(result: SmokeResult) -> Gate:
    """Judge the suite: no test may fail, and at least one must have run. A test that does not apply is skipped."""
    passed = "; ".join(["every smoke test passed", *result.notes])
    limit = Limit(name="smoke", metric="failed_tests", at_most=0, unit="failed", passed_reason=passed)
    measured = None if result.problem or result.tests == 0 else float(len(result.failed))
    gate = judge(limit, measured, why_not_measured=result.problem or "no smoke test ran")
    return gate.model_copy(update={"reason": _first_failures(result.failed)}) if result.failed else gate


def _first_failures(failed: Sequence[str]) -> str:
    more = len(failed) - FAILURES_SHOWN
    return "; ".join(failed[:FAILURES_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _notes(suites: ElementTree.Element, reasons: Sequence[str]) -> tuple[str, ...]:
    """Return what the suite noted, each warning, and why tests were skipped, each once."""
    noted = [
        str(each.get("value")) for each in suites.iter("property") if each.get("name") in ("note", "warning")
    ]
    skips = [f"{count} tests skipped: {reason}" for reason, count in Counter(reasons).items()]
    return tuple(dict.fromkeys([*noted, *skips]))


def _first_line(outcome: ElementTree.Element) -> str:
    return (outcome.get("message") or outcome.text or "failed").strip().splitlines()[0][:300]
