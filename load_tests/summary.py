"""A verification in markdown, for a page that shows no picture of its own: tables, and plots as Mermaid text.

python -m load_tests.summary --evidence FILE [--load NAME=result.json] [--link URL] >> "$GITHUB_STEP_SUMMARY"
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]

SYMBOLS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}
MOST_POINTS = 60  # Mermaid draws every label; more cannot be read


def summary(evidence: Document, loads: Sequence[tuple[str, Document]], link: str = "") -> str:
    """Return the whole text."""
    verdict = evidence["verdict"]
    parts = [
        f"## {SYMBOLS[verdict]} {evidence['release']} in {evidence['environment']}: {verdict}",
        _gates(evidence),
    ]
    if evidence.get("capacity"):
        parts.append(_capacity(evidence["capacity"]))
    if evidence.get("scaling"):
        parts.append(_ledger(evidence["scaling"]))
    for name, result in loads:
        parts += _plots(name, result)
    if link:
        parts.append(f"[The whole report]({link})")
    return "\n\n".join(parts) + "\n"


def _gates(evidence: Document) -> str:
    rows = [
        [
            gate["name"],
            _amount(gate["measured"], gate["unit"]),
            _amount(gate["limit"], gate["unit"]),
            f"{SYMBOLS[gate['verdict']]} {gate['verdict']}",
            gate["reason"],
        ]
        for gate in evidence["gates"]
    ]
    return _table(["gate", "measured", "limit", "verdict", "reason"], rows)


def _capacity(capacity: Document) -> str:
    rate = capacity["requests_per_second"]
    named = (
        "No capacity is named"
        if rate is None
        else f"**{rate:.0f} requests/s** on one {capacity['instance_type']}"
    )
    return f"### Capacity\n\n{_cell(named + ': ' + capacity['reason'])}."


def _ledger(ledger: Document) -> str:
    rows = [
        [
            row["phase"],
            "not seen" if row["seconds"] is None else f"{row['seconds']:.1f} s",
            "–" if row["aws_seconds"] is None else f"{row['aws_seconds']:.0f} s",
            row["kind"],
            row["source"],
        ]
        for row in ledger["rows"]
    ]
    heading = f"### Where scaling's minutes went ({_cell(ledger['policy'])})"
    return heading + "\n\n" + _table(["phase", "here", "AWS seconds", "", "source"], rows)


def _plots(name: str, result: Document) -> list[str]:
    seconds = result["seconds"]
    if not seconds:
        return []
    stride = -(-len(seconds) // MOST_POINTS)
    spans = [seconds[begin : begin + stride] for begin in range(0, len(seconds), stride)]
    began = seconds[0]["at"]
    at = [f"{span[0]['at'] - began:.0f}" for span in spans]
    served = [sum(row["requests"] - row["failures"] for row in span) / len(span) for span in spans]
    p99 = [max((row["p99_ms"] or 0.0) for row in span) for span in spans]
    return [
        f"### {_cell(name)}",
        _chart("served requests per second", "requests/s", at, served),
        _chart("99th percentile, the highest of each point's seconds", "ms", at, p99),
    ]


def _chart(title: str, unit: str, x: Sequence[str], y: Sequence[float]) -> str:
    """A Mermaid xychart; x in seconds since the load began."""
    lines = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "seconds" [{", ".join(x)}]',
        f'    y-axis "{unit}" 0 --> {max([*y, 1.0]) * 1.1:.4g}',
        f"    line [{', '.join(f'{value:.4g}' for value in y)}]",
        "```",
    ]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Keep what others wrote from being markup."""
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return plain.replace("`", "'")


def _amount(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load_tests.summary", description=__doc__.splitlines()[0])
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--load", nargs="+", action="extend", default=[], metavar="NAME=result.json")
    parser.add_argument("--link", default="", help="where the whole report is")
    args = parser.parse_args(argv)
    loads = [(name, _read(Path(path))) for name, _, path in (each.partition("=") for each in args.load)]
    print(summary(_read(args.evidence), loads, args.link), end="")
    return 0


def _read(path: Path) -> Document:
    try:
        document: Document = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise SystemExit(f"{path}: {error}") from error
    return document


if __name__ == "__main__":
    sys.exit(main())
