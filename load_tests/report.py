"""Write one HTML file that shows a delivery: measurements, verdicts and events on one time axis.

    python -m load_tests.report --title T --out report.html --load NAME=result.json \
        [--evidence FILE] [--steps FILE] [--release FILE]

It needs no network: plotly's script is inside.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from load_tests.evidence_text import Document
from load_tests.plots import moment
from load_tests.report_page import page


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report and print its path."""
    parser = argparse.ArgumentParser(prog="python -m load_tests.report", description=__doc__.splitlines()[0])
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    for option, what in (("load", "NAME=result.json"), ("evidence", "FILE"), ("steps", "FILE")):
        parser.add_argument(f"--{option}", nargs="+", action="extend", default=[], metavar=what)
    parser.add_argument("--release", type=Path)
    args = parser.parse_args(argv)
    evidence = [_read(path) for path in args.evidence]
    named = [(name, path) for name, _, path in (each.partition("=") for each in args.load)]
    earlier = {name: note for name, path in named if (note := _measured_earlier(name, path, evidence))}
    html = page(
        args.title,
        [(name, _read(path)) for name, path in named if name not in earlier],
        evidence,
        [_read(path) for path in args.steps],
        None if args.release is None else _read(args.release),
        tuple(earlier.values()),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(html)
    print(args.out)
    return 0


def _measured_earlier(name: str, path: str, evidence: Sequence[Document]) -> str | None:
    """Return a note about a missing result that the evidence has from an earlier run; None for any other.

    A run that finds its release verified already measures nothing, and has no result of its own.
    """
    if Path(path).exists():
        return None
    for each in evidence:
        if any(Path(path).match(file) for file in each.get("load", ())):
            when = f"{moment(each['finished']):%Y-%m-%d %H:%M:%S} UTC"
            return f"{name}: measured by an earlier run, until {when}; the result is in that run's report."
    return None


def _read(path: str | Path) -> Document:
    try:
        document: Document = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise SystemExit(f"{path}: {error}; name load results as NAME=FILE.") from error
    return document


if __name__ == "__main__":
    sys.exit(main())
