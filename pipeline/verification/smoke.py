"""Run the smoke tests against a live endpoint as their own program, and read their report."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pipeline.gates import Gate, Limit, judge
from pipeline.release import Release
from pipeline.run import Run

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
PAYLOAD_VARIABLE, PAYLOAD_MB = "SAGEMAKER_MAX_PAYLOAD_IN_MB", "25"  # the container's, and its default
BOUND_SECONDS = 180.0  # they take under 30 s; an endpoint without timely answers is cut off here


@dataclass(frozen=True)
class SmokeResult:
    """The number of tests that ran, and the messages of those that failed. `problem`: why they could not run."""

    tests: int
    failed: tuple[str, ...]
    seconds: float
    report: Path
    problem: str = ""

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
    command += ["--release", release.id]
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
    log.info(f"smoke: {result.tests - len(result.failed)} of {result.tests} passed in {result.seconds:.1f} s")
    return result


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
    return SmokeResult(len(cases) - len(skipped), failed, seconds, report)


def judge_smoke(result: SmokeResult | None, note: str = "") -> Gate:
    """Judge the suite: no test may fail, and at least one must have run. `note`: of the golden set."""
    limit = Limit(
        name="smoke",
        metric="failed_tests",
        at_most=0,
        unit="failed",
        passed_reason="; ".join(filter(None, ["every smoke test passed", note])),
    )
    if result is None:
        return judge(limit, None, why_not_measured="they were not run")
    measured = None if result.problem or result.tests == 0 else float(len(result.failed))
    gate = judge(limit, measured, why_not_measured=result.problem or "no smoke test ran")
    return gate.model_copy(update={"reason": "; ".join(result.failed)}) if result.failed else gate


def _first_line(outcome: ElementTree.Element) -> str:
    return (outcome.get("message") or outcome.text or "failed").strip().splitlines()[0][:300]
