"""Requests a second, latency, memory and cold start of this project's server beside other servers.

    make bench-serving          or python -m benchmarks.serving [--rows T1,T32,M] [--peers NAME,…] [--repeats 5]
                                   [--seconds 8] [--minutes N] [--quiet 0.1] [--results FILE] [--table]

The servers take turns, repetition after repetition, so that other work on the machine affects all of them. In each
trial a server is started, checked until its answer is correct, measured with wrk at every concurrency, and ended.
Every trial is kept in build/: a later run continues where one stopped, and repeats the trials of changed code.
`--minutes` starts no trial after that time. `--quiet` repeats the trials in which other programs used more than that
share of the CPUs. The medians and ranges go to benchmarks/serving_results.json, and from there into
docs/performance.md; `--table` only writes the document. With another `--results` neither is changed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparison import summary_file, table, trials
from benchmarks.comparison.environments import ROOT, CannotInstall, cache_dir
from benchmarks.comparison.machine import describe
from benchmarks.comparison.measuring import measure_server
from benchmarks.comparison.plan import PlannedTrial, fingerprint, plan_trials, select_servers
from benchmarks.comparison.running import NotServing
from benchmarks.comparison.servers import all_servers
from benchmarks.comparison.summary import Summary, summarise
from benchmarks.comparison.trials import OtherSettings, Trial, TrialLog
from benchmarks.comparison.workloads import all_workloads

TRIALS = ROOT / "build" / "serving_trials.json"
SUMMARY = ROOT / "benchmarks" / "serving_results.json"
DOCUMENT = ROOT / "docs" / "performance.md"


def run_trials(
    log: TrialLog, plan: Iterable[PlannedTrial], path: Path, *, until: float, max_background: float = 1.0
) -> None:
    """Run the planned trials that the log lacks, and save each at once; note each server that cannot be measured."""
    failed: set[tuple[str, str]] = set()
    for planned in plan:
        key, code = (planned.workload.name, planned.server.name), fingerprint(planned.server)
        if key in failed or log.has(*key, planned.repetition, code, max_background=max_background):
            continue
        if time.monotonic() > until:
            print("time limit reached; the next run continues here", flush=True)
            return
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        try:
            measured = measure_server(planned.server, planned.workload, log.seconds)
        except (NotServing, CannotInstall, RuntimeError, subprocess.TimeoutExpired) as error:
            failed.add(key)
            log.missing[" ".join(key)] = " ".join(str(error).split())[:400]
            print(f"{' '.join(key)}: not measured: {error}", flush=True)
        else:
            log.add(Trial(*key, planned.repetition, code, at, measured, revision()))
            rates = ", ".join(
                f"{run.concurrency}: {run.requests_per_second:,.0f}" for run in measured.measurements
            )
            background = f"other programs {measured.background_cpu_share:.0%}"
            print(f"{' '.join(key)}, repetition {planned.repetition + 1}: {rates}; {background}", flush=True)
        trials.save(log, path)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the flags; their defaults come from ROWS, PEERS, REPEATS, SECONDS, MINUTES, QUIET and RESULTS."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    read = os.environ.get
    parser.add_argument("--rows", default=read("ROWS") or "T1,T32,M", help="workloads, separated by commas")
    parser.add_argument(
        "--peers", default=read("PEERS") or "*", help="servers, separated by commas; may use *"
    )
    parser.add_argument("--repeats", type=int, default=int(read("REPEATS") or 5))
    parser.add_argument("--seconds", type=int, default=int(read("SECONDS") or 8), help="of each run of wrk")
    parser.add_argument("--minutes", type=float, default=float(read("MINUTES") or 24 * 60))
    parser.add_argument("--quiet", type=float, default=float(read("QUIET") or 1.0), help="from 0 to 1")
    parser.add_argument("--results", type=Path, default=Path(read("RESULTS") or TRIALS), help="the trials")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the document")
    return parser.parse_args(argv)


def revision() -> str:
    """Return the commit that is checked out, marked -dirty if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def require_seconds(summary: Summary, seconds: int) -> None:
    """Raise OtherSettings if the published summary is of runs of another duration."""
    if summary.servers and summary.seconds != seconds:
        raise OtherSettings(
            f"{SUMMARY} holds runs of {summary.seconds} s, not {seconds} s; "
            f"set SECONDS={summary.seconds}, or RESULTS to another file"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    args = arguments(argv)
    servers, workloads = all_servers(), all_workloads(cache_dir() / "workloads")
    rows = [name.strip() for name in args.rows.split(",")]
    unknown = [name for name in rows if name not in workloads]
    if unknown:
        raise SystemExit(f"ROWS: there is no {unknown[0]}; expected some of {', '.join(workloads)}")
    is_published = args.results.resolve() == TRIALS
    summary = summary_file.load(SUMMARY, args.seconds) if is_published else Summary(args.seconds)
    if not args.table:
        try:
            selected, log = select_servers(args.peers, servers), trials.load(args.results, args.seconds)
            require_seconds(summary, args.seconds)
        except (ValueError, OtherSettings) as error:
            raise SystemExit(str(error)) from None
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM; the next run continues here"))
        log.machine = describe()
        plan = plan_trials([workloads[name] for name in rows], selected, args.repeats)
        until = time.monotonic() + 60 * args.minutes
        run_trials(log, plan, args.results, until=until, max_background=args.quiet)
        summary.update(summarise(log))
    text = table.page(summary, servers, workloads)
    print(f"\n{text}")
    if is_published:
        summary_file.save(summary, SUMMARY)
        table.write(text, DOCUMENT)


if __name__ == "__main__":
    main()
