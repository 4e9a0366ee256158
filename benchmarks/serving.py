"""Requests a second, latency, memory and cold start of this project's server beside what a team would pick instead.

    make bench-serving          or python -m benchmarks.serving [--rows T1,T32,M] [--peers NAME,…] [--repeats 5]
                                   [--seconds 8] [--minutes N] [--quiet 0.1] [--results FILE] [--table]

The servers take turns, repetition after repetition, so that what else the machine does meets all of them. Each is
started, asked until its answer is right, measured with wrk at every concurrency, and ended. After each visit the
results are saved: a later run goes on where one stopped, and measures anew what has changed since. `--minutes` stops
before a visit that would begin later; `--quiet` measures those again in which other processes took more than that
share of the CPUs; `--table` only writes docs/performance.md from the results.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.comparison import results as kept
from benchmarks.comparison import table
from benchmarks.comparison.environments import ROOT, CannotInstall, cache_dir
from benchmarks.comparison.machine import describe
from benchmarks.comparison.measuring import visit
from benchmarks.comparison.results import Results, Visit
from benchmarks.comparison.running import NotServing
from benchmarks.comparison.servers import Server, all_servers
from benchmarks.comparison.workloads import Workload, all_workloads

RESULTS = ROOT / "benchmarks" / "serving_results.json"
DOCUMENT = ROOT / "docs" / "performance.md"
OURS, THEIRS = ROOT / "container" / "src", ROOT / "benchmarks" / "comparison"

EVERYWHERE, MOST = ("T1", "T32", "M"), 100


@dataclass(frozen=True)
class Turn:
    """One visit that is to be made."""

    workload: Workload
    server: Server
    repetition: int


def turns(workloads: Sequence[Workload], servers: Sequence[Server], repeats: int) -> Iterator[Turn]:
    """A B C, then B C A, … of each workload in turn: every server meets every neighbour's leavings."""
    for workload in workloads:
        served = [server for server in servers if workload.name in server.rows]
        for repetition in range(repeats):
            shift = repetition % max(len(served), 1)
            for server in [*served[shift:], *served[:shift]]:
                if repetition < server.most:
                    yield Turn(workload, server, repetition)


def chosen(names: str, among: Mapping[str, Server]) -> list[Server]:
    """The servers that match one of the patterns, such as ours-* or torchserve; ValueError for none.

    One that is named in full takes part in every workload, and in as many repetitions as any.
    """
    patterns = [name.strip() for name in names.split(",") if name.strip()] or ["*"]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in among):
            raise ValueError(f"PEERS: there is no {pattern}; expected some of {', '.join(among)}")
    return [
        replace(server, rows=EVERYWHERE, most=MOST) if name in patterns else server
        for name, server in among.items()
        if any(fnmatch(name, pattern) for pattern in patterns)
    ]


def fingerprint(server: Server) -> str:
    """Changes with the code that a visit measures."""
    root = OURS if server.kind == "ours" else THEIRS
    files = [
        file for file in sorted(root.rglob("*")) if file.is_file() and not _is_cache(file.relative_to(root))
    ]
    if server.kind != "ours":  # what these servers are made of, not how they are compared
        made_of = ("programs", "requirements", "front.conf", "post.lua")
        files = [file for file in files if file.relative_to(root).parts[0] in made_of]
        files = [file for file in files if file.parent.name != "requirements" or file.stem == server.packages]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _is_cache(path: Path) -> bool:
    """Whether Python, mypy or ruff has left it there."""
    return any(part == "__pycache__" or part.endswith("_cache") for part in path.parts)


def measure(
    results: Results, plan: Iterator[Turn], path: Path, seconds: int, until: float, quiet: float = 1.0
) -> None:
    """Make the visits that are not made yet, and keep each at once; what cannot be had is named and left out."""
    out: set[tuple[str, str]] = set()
    for turn in plan:
        key, mark = (turn.workload.name, turn.server.name), fingerprint(turn.server)
        if key in out or results.has(*key, turn.repetition, mark, quiet=quiet):
            continue
        if time.monotonic() > until:
            print("the minutes are over; the next run goes on here", flush=True)
            return
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        try:
            found = visit(turn.server, turn.workload, seconds)
        except (NotServing, CannotInstall, RuntimeError, subprocess.TimeoutExpired) as error:
            out.add(key)
            results.missing[" ".join(key)] = " ".join(str(error).split())[:400]
            print(f"{' '.join(key)}: left out: {error}", flush=True)
        else:
            results.add(Visit(*key, turn.repetition, mark, at, found, revision()))
            rates = ", ".join(
                f"{run.concurrency}: {run.requests_per_second:,.0f}" for run in found.measurements
            )
            around = f"others {found.others:.0%}"
            print(f"{' '.join(key)}, repetition {turn.repetition + 1}: {rates}; {around}", flush=True)
        kept.save(results, path)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Flags, by default from the environment: ROWS, PEERS, REPEATS, SECONDS, MINUTES, QUIET, RESULTS."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    read = os.environ.get
    parser.add_argument("--rows", default=read("ROWS") or "T1,T32,M", help="workloads, by commas")
    parser.add_argument("--peers", default=read("PEERS") or "*", help="servers, by commas; * matches")
    parser.add_argument("--repeats", type=int, default=int(read("REPEATS") or 5))
    parser.add_argument("--seconds", type=int, default=int(read("SECONDS") or 8), help="of each run of wrk")
    parser.add_argument("--minutes", type=float, default=float(read("MINUTES") or 24 * 60))
    parser.add_argument("--quiet", type=float, default=float(read("QUIET") or 1.0), help="from 0 to 1")
    parser.add_argument("--results", type=Path, default=Path(read("RESULTS") or RESULTS))
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table")
    return parser.parse_args(argv)


def revision() -> str:
    """The commit that is checked out, and whether anything differs from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    servers, workloads = all_servers(), all_workloads(cache_dir() / "workloads")
    rows = [name.strip() for name in args.rows.split(",")]
    unknown = [name for name in rows if name not in workloads]
    if unknown:
        raise SystemExit(f"ROWS: there is no {unknown[0]}; expected some of {', '.join(workloads)}")
    try:
        picked, results = chosen(args.peers, servers), kept.load(args.results, args.seconds)
    except (ValueError, kept.OtherSettings) as error:
        raise SystemExit(str(error)) from None
    if not args.table:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM; the next run goes on here"))
        results.machine = describe()
        plan = turns([workloads[name] for name in rows], picked, args.repeats)
        measure(results, plan, args.results, args.seconds, time.monotonic() + 60 * args.minutes, args.quiet)
    text = table.page(results, servers, workloads)
    print(f"\n{text}")
    if args.results.resolve() == RESULTS:
        table.write(text, DOCUMENT)


if __name__ == "__main__":
    main()
