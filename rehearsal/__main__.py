"""`python -m rehearsal`: the whole journey on this machine, with a report at the end."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from rehearsal.closing import show_gates, show_live, show_times
from rehearsal.journey import Outcome, rehearse, report
from rehearsal.machine import ROOT, RehearsalError, look
from rehearsal.progress import Row


def main(argv: list[str] | None = None) -> int:
    """Return 0 only if production answers with the release made here and its scaling policy is in force."""
    args = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 150)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that everything started is stopped
    try:
        machine = look(args.instances)
        console.print(f"instances: [bold]{machine.instances}[/] – {machine.reason}", highlight=False)
        outcome, rows = rehearse(args.build.resolve(), machine, console)
    except RehearsalError as error:
        _close(console, args.build, Outcome(), error.rows)
        console.print(f"[red]The rehearsal failed.[/] {error}", highlight=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    _close(console, args.build, outcome, rows)
    return 0


def _close(console: Console, build: Path, outcome: Outcome, rows: list[Row]) -> None:
    if outcome.live:
        show_live(console, outcome.release, outcome.live, outcome.clients)
    show_gates(console, build / "staging" / "evidence.json")
    if rows:
        show_times(console, rows)
    promoted = build / "production" / "autoscale.json"
    if outcome.live and promoted.is_file():
        seconds = json.loads(promoted.read_text())["result"]["seconds_from_in_service"]
        console.print(f"production: {seconds:.1f} s from InService to policy in force (measured here)")
    if list(build.glob("traffic-*.json")):
        page = report(build.resolve(), "Rehearsal", os.environ)
        console.print(f"report: {page}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    parser.add_argument("--instances", choices=["auto", "docker", "process"], default="auto",
                        help="what endpoint instances are (default: containers if this machine can)")  # fmt: skip
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "rehearsal",
                        help="where release, evidence, logs and report go (emptied first)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
