"""`make prove`: run every case of every test marked `matrix`, resumable case by case.

Each case is a pytest run of its own. A verdict is kept in build/prove.json for as long as the
tracked files are the same, so that an interrupted run goes on where it stopped; so is one that failed, if a rate is
counted from it. The last result is written to docs/proof.md, which is committed. JOBS cases run at a time (default: one
for each core); those marked `measures` run after them, each alone on the machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.proof_tables import Verdict, is_final, tables

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "prove.json"
PAGE = ROOT / "docs" / "proof.md"
CASE_SECONDS = 1800
JOBS = int(os.environ.get("JOBS") or os.cpu_count() or 1)


def state_of_the_tree() -> str:
    """Name what is being proved: the commit, and a hash of what is changed on top of it."""
    commit = subprocess.check_output(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, text=True).strip()
    ours = ["--", ".", ":!docs/proof.md"]
    changes = subprocess.check_output(["git", "diff", "HEAD", *ours], cwd=ROOT)
    if not changes:
        return commit
    name = subprocess.run(
        ["git", "hash-object", "--stdin"], input=changes, cwd=ROOT, capture_output=True, check=True
    )
    return f"{commit}+{name.stdout.decode()[:8]}"


def cases(marked: str = "matrix") -> list[str]:
    """List the cases by a pytest expression of markers."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", marked, "--no-header"],
        cwd=ROOT,
        env=os.environ | {"EVERY_CASE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    names = [line for line in found.stdout.splitlines() if "::" in line]
    if not names:
        sys.exit(f"No test is marked `{marked}`:\n{found.stdout}{found.stderr}")
    return names


def words(report: Path) -> list[str]:
    """Run pytest so that its JUnit report has what the tests record; the newer form of it has no place for that."""
    return [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", "--junitxml", str(report)]


def run(case: str) -> Verdict:
    """Run one case as a pytest of its own."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="prove-") as scratch:
        report = Path(scratch) / "report.xml"
        ended = subprocess.run(
            [*words(report), "-rs", case],
            cwd=ROOT,
            env=os.environ | {"EVERY_CASE": "1"},
            capture_output=True,
            text=True,
            timeout=CASE_SECONDS,
            check=False,
        )
        said = properties(report) if report.is_file() else {}
    if ended.returncode != 0:
        print(ended.stdout[-4000:], ended.stderr[-2000:], sep="\n")
    skipped = " skipped" in ended.stdout and " passed" not in ended.stdout
    verdict = "failed" if ended.returncode else "skipped" if skipped else "passed"
    return {"verdict": verdict, "seconds": round(time.monotonic() - started, 1), "said": said}


def run_all(
    wanted: Sequence[str], measuring: Collection[str], work: Callable[[str], Verdict] = run, jobs: int = JOBS
) -> Iterator[tuple[str, Verdict]]:
    """Yield each case with its verdict as it ends: `jobs` of them at a time, then one by one those that measure.

    Cases that have not begun when the caller stops are not begun.
    """
    pool = ThreadPoolExecutor(jobs)
    try:
        running = {pool.submit(work, case): case for case in wanted if case not in measuring}
        for ended in as_completed(running):
            yield running[ended], ended.result()
    finally:
        pool.shutdown(cancel_futures=True)
    for case in wanted:
        if case in measuring:
            yield case, work(case)


def properties(report: Path) -> dict[str, str]:
    """Read what the tests of a JUnit report recorded."""
    every = ElementTree.parse(report).getroot().iter("property")
    return {each.get("name", ""): each.get("value", "") for each in every}


def page(tree: str, wanted: list[str], verdicts: dict[str, Verdict]) -> str:
    """Format the table of all cases, those that the last run did not reach included."""
    rows = []
    for case in wanted:
        found = verdicts.get(case)
        rows.append(
            f"| `{case}` | {found['verdict']} | {found['seconds']:.0f} |"
            if found
            else f"| `{case}` | not run | |"
        )
    today = datetime.now(UTC).date().isoformat()
    return "\n".join(
        [
            "# Proof",
            "",
            "The last run of `make prove`: every case of every long matrix, where `make test` takes one of each.",
            f"Tree `{tree}`, {today}, {os.cpu_count()} cores, {JOBS} cases at a time but for those that "
            "measure. Seconds are wall-clock, measured here.",
            "",
            "| case | verdict | seconds |",
            "|---|---|---|",
            *rows,
            "",
            *tables({case: verdicts[case] for case in wanted if case in verdicts}),
        ]
    )


def main() -> int:
    """Prove the cases that have no final verdict yet; exit code 1 if one has not passed in the end."""
    tree, wanted, measuring = state_of_the_tree(), cases(), cases("matrix and measures")
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    verdicts: dict[str, Verdict] = kept["verdicts"] if kept.get("tree") == tree else {}
    left = [case for case in wanted if case not in verdicts or not is_final(verdicts[case])]
    done = len(wanted) - len(left)
    print(f"{done} of {len(wanted)} cases are judged already; {JOBS} at a time", flush=True)
    for number, (case, verdict) in enumerate(run_all(left, measuring), done + 1):
        verdicts[case] = verdict
        print(
            f"[{number}/{len(wanted)}] {case}: {verdict['verdict']} in {verdict['seconds']:.0f} s", flush=True
        )
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps({"tree": tree, "verdicts": verdicts}, indent=1))
        PAGE.write_text(page(tree, wanted, verdicts))
    PAGE.write_text(page(tree, wanted, verdicts))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return int(any(verdicts[case]["verdict"] != "passed" for case in wanted))


if __name__ == "__main__":
    sys.exit(main())
