"""Summarise a verification in markdown, for GitHub's step summary: tables, and plots as Mermaid text.

python -m load_tests.summary --evidence FILE [--load NAME=result.json] [--link URL] >> "$GITHUB_STEP_SUMMARY"
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from load_tests.evidence_text import (
    COST_HEADS,
    GATE_HEADS,
    REGRESSION_HEADS,
    TIMELINE_HEADS,
    Document,
    capacity_sentence,
    cost_rows,
    cost_sentence,
    gate_rows,
    payload_notes,
    regression_rows,
    regression_sentence,
    timeline_rows,
)

SYMBOLS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}
MOST_POINTS = 60  # Mermaid draws every label; more cannot be read


def summary(evidence: Document, loads: Sequence[tuple[str, Document]], link: str = "") -> str:
    """Return the whole summary."""
    verdict = evidence["verdict"]
    parts = [
        f"## {SYMBOLS[verdict]} {evidence['release']} in {evidence['environment']}: {verdict}",
        _table(GATE_HEADS, [_with_symbol(row) for row in gate_rows(evidence)]),
    ]
    parts += [f"**{_cell(note)}**" for note in evidence.get("notes", ())]
    if capacity := evidence.get("capacity"):
        parts += ["### Capacity", _cell(capacity_sentence(capacity)), *_capacity_plot(capacity)]
    if cost := evidence.get("cost"):
        parts += ["### Cost", _cell(cost_sentence(cost)), _table(COST_HEADS, cost_rows(cost))]
    if regression := evidence.get("regression"):
        parts += ["### Regression", _cell(regression_sentence(regression))]
        parts.append(_table(REGRESSION_HEADS, regression_rows(regression)))
    if scaling := evidence.get("scaling"):
        parts.append(f"### Scaling timeline ({_cell(scaling['policy'])})")
        parts.append(_table(TIMELINE_HEADS, timeline_rows(scaling)))
    parts += map(_cell, payload_notes(loads))
    for name, result in loads:
        parts += _plots(name, result)
    if link:
        parts.append(f"[The whole report]({link})")
    return "\n\n".join(parts) + "\n"


def _with_symbol(row: Sequence[str]) -> list[str]:
    return [*row[:3], f"{SYMBOLS[row[3]]} {row[3]}", *row[4:]]


def _capacity_plot(capacity: Document) -> list[str]:
    """Plot p99 over the offered rate; rates without a p99 are left out, since Mermaid has no gaps."""
    known = {step["offered_rps"]: step["p99_ms"] for step in capacity["steps"] if step["p99_ms"] is not None}
    if len(known) < 2:
        return []
    rates = sorted(known)
    title = "99th percentile by requests per second offered to one instance"
    return [
        _chart(title, "ms", [f"{rate:g}" for rate in rates], [known[rate] for rate in rates], "requests/s")
    ]


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


def _chart(title: str, unit: str, x: Sequence[str], y: Sequence[float], across: str = "seconds") -> str:
    """Return a Mermaid xychart; `across` labels the x axis."""
    lines = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "{across}" [{", ".join(x)}]',
        f'    y-axis "{unit}" 0 --> {max([*y, 1.0]) * 1.1:.4g}',
        f"    line [{', '.join(f'{value:.4g}' for value in y)}]",
        "```",
    ]
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    plain = [head.removeprefix("#") for head in heads]
    lines = [plain, ["---:" if head.startswith("#") else "---" for head in heads], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Escape text that comes from elsewhere, so that none of it becomes markup."""
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return plain.replace("`", "'")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the summary."""
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
