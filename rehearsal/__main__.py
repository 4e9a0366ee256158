"""`python -m rehearsal`: the whole journey on this machine, with a report at the end."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from rehearsal.errors import RehearsalError
from rehearsal.journey import STEPS, Outcome, Source, rehearse
from rehearsal.machine import ROOT, choose_instances
from rehearsal.progress import Progress, Row
from rehearsal.report import write_report
from rehearsal.summary import show_gates, show_identities, show_live_endpoints, show_times


def main(argv: list[str] | None = None) -> int:
    """Return 0 only if production answers with the release made here and its scaling policy is in force."""
    args = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 150)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # unwinds the stack, which stops every process started
    outcome, progress = Outcome(), Progress(STEPS, console)
    try:
        machine = choose_instances(args.instances)
        console.print(f"instances: [bold]{machine.instances}[/] – {machine.reason}", highlight=False)
        source = Source(_resolved(args.model), _resolved(args.requests), args.config.resolve())
        rehearse(args.build.resolve(), machine, source, progress, outcome)
    except RehearsalError as error:
        _show_summary(console, args.build, outcome, progress.rows)
        console.print(f"[red]The rehearsal failed.[/] {error}", highlight=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    _show_summary(console, args.build, outcome, progress.rows)
    return 0


def _show_summary(console: Console, build: Path, outcome: Outcome, rows: list[Row]) -> None:
    """Show what exists after a complete or a broken run, and write the report."""
    if outcome.live:
        show_live_endpoints(console, outcome.release, outcome.live, outcome.clients)
        show_identities(console, outcome.identities)
    show_gates(console, build / "staging" / "evidence.json")
    if any(row.state != "waiting" for row in rows):
        show_times(console, rows)
    autoscaled = build / "production" / "autoscale.json"
    if outcome.live and autoscaled.is_file():
        seconds = json.loads(autoscaled.read_text())["result"]["seconds_from_in_service"]
        console.print(f"production: {seconds:.1f} s from InService to policy in force (measured here)")
    if list(build.glob("traffic-*.json")):
        page = write_report(build.resolve(), "Rehearsal", os.environ)
        console.print(f"report: {page}", soft_wrap=True)


def _resolved(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    parser.add_argument("--instances", choices=["auto", "docker", "process"], default="auto",
                        help="run endpoint instances as containers or processes (default: containers if possible)")  # fmt: skip
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "rehearsal",
                        help="folder for release, evidence, logs and report (emptied first)")  # fmt: skip
    parser.add_argument("--model", type=Path, metavar="MODEL",
                        help="model.tar.gz, a folder with its content, or an example (default: `weights:` of staging)")  # fmt: skip
    parser.add_argument("--requests", type=Path, metavar="FOLDER",
                        help="requests from which a golden set is recorded, if the model has none")  # fmt: skip
    parser.add_argument("--config", type=Path, default=ROOT / "config", metavar="FOLDER",
                        help="folder of the environments' files, as config/examples/two-accounts (default: config)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
