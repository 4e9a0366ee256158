"""One HTML file that shows a delivery: what was measured, how it was judged, and when what happened.

    python -m load_tests.report --title T --out report.html --load NAME=result.json \
        [--evidence FILE] [--steps FILE] [--release FILE]

It needs no network: plotly's script is inside.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from load_tests.plots import capacity_plot, moment, step_name, timeline
from load_tests.wording import (
    COST_HEADS,
    GATE_HEADS,
    LEDGER_HEADS,
    REGRESSION_HEADS,
    Document,
    amount,
    capacity_sentence,
    cost_rows,
    cost_sentence,
    gate_rows,
    ledger_rows,
    regression_rows,
    regression_sentence,
)

STYLE = """
:root { --ink: #1e293b; --soft: #64748b; --line: #e2e8f0; --paper: #fff; --ground: #f8fafc;
        --passed: #047857; --failed: #b91c1c; --inconclusive: #b45309; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 10px; }
.when { color: var(--soft); margin: 2px 0 16px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
          padding: 14px 16px; margin: 0 0 16px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line);
         vertical-align: top; } th { color: var(--soft); font-weight: 600; font-size: .85rem; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 1px 9px; border-radius: 999px; color: #fff; font-size: .8rem;
         font-weight: 600; white-space: nowrap; } .badge.passed { background: var(--passed); }
.badge.failed { background: var(--failed); } .badge.inconclusive { background: var(--inconclusive); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 6px; }
  main { padding: 12px 8px 32px; } section { padding: 12px 10px; } }
"""


def page(
    title: str,
    loads: Sequence[tuple[str, Document]],
    evidence: Sequence[Document],
    steps: Sequence[Document],
    release: Document | None,
    elsewhere: Sequence[str] = (),
) -> str:
    """Return the whole page, self-contained. `elsewhere`: sentences about load results that are not here."""
    body = [_heading(title, evidence, steps, loads)]
    if release is not None:
        body.append(_section("Release", _release(release)))
    body += [_section(f"Gates in {each['environment']}", _gates(each)) for each in evidence]
    scripts: list[Any] = []
    if loads or steps:
        scripts.append(timeline(loads, steps))
        body.append(
            _section("Latency, throughput and instances over time (UTC)", _plot(scripts[-1], is_first=True))
        )
    for each in evidence:
        body += _findings(each, scripts)
    if loads or elsewhere:
        words = "".join(f"<p>{escape(sentence)}</p>" for sentence in elsewhere)
        body.append(_section("Load tests", words + (_load_table(loads) if loads else "")))
    if steps:
        body.append(_section("Steps", _step_table(steps)))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<link rel='icon' href='data:,'><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _heading(
    title: str, evidence: Sequence[Document], steps: Sequence[Document], loads: Sequence[tuple[str, Document]]
) -> str:
    times = [
        at
        for each in (*steps, *(result for _, result in loads))
        for at in (each["started"], each["finished"])
    ]
    known = [at for at in times if at is not None]
    when = f"{moment(min(known)):%Y-%m-%d %H:%M:%S} to {moment(max(known)):%H:%M:%S} UTC" if known else ""
    badges = " ".join(
        _badge(each["verdict"], f"{each['environment']} {each['verdict']}") for each in evidence
    )
    return f"<h1>{escape(title)}</h1><p class='when'>{when} {badges}</p>"


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"


def _badge(verdict: str, text: str) -> str:
    return f"<span class='badge {escape(verdict)}'>{escape(text)}</span>"


def _plot(figure: Any, *, is_first: bool) -> str:
    """The first plot brings plotly's script for all."""
    config = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    plot: str = figure.to_html(full_html=False, include_plotlyjs=is_first, config=config)
    return plot


def _release(release: Document) -> str:
    rows = [
        ("id", release["id"]),
        ("image", f"{release['image']['uri']}"),
        ("image digest", release["image"]["digest"] + (" (stand-in: hash of the sources)" if release["image"]["stand_in"] else "")),
        ("weights", f"{release['weights']['uri']}, {release['weights']['bytes']:,} bytes"),
        ("commit", release["commit"] or "–"),
        ("run", release["run_url"] or "–"),
        ("created", release["created"]),
    ]  # fmt: skip
    return (
        f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd><code>{escape(str(v))}</code></dd>' for k, v in rows)}</dl>"
    )


def _gates(evidence: Document) -> str:
    rows = [[*map(escape, row[:3]), _badge(row[3], row[3]), escape(row[4])] for row in gate_rows(evidence)]
    return _table(GATE_HEADS, rows)


def _escaped(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text."""
    return _table(heads, ([escape(cell) for cell in row] for row in rows))


def _findings(each: Document, scripts: list[Any]) -> Iterator[str]:
    """Yield the sections of one environment's evidence; figures are added to `scripts`."""
    if capacity := each.get("capacity"):
        scripts.append(capacity_plot(capacity))
        text = f"<p>{escape(capacity_sentence(capacity))}</p>"
        plot = _plot(scripts[-1], is_first=len(scripts) == 1)
        yield _section(f"Capacity of one instance, measured in {each['environment']}", text + plot)
    if cost := each.get("cost"):
        text = f"<p>{escape(cost_sentence(cost))}</p>{_escaped(COST_HEADS, cost_rows(cost))}"
        yield _section(f"Cost at the promise, by the capacity in {each['environment']}", text)
    if regression := each.get("regression"):
        text = f"<p>{escape(regression_sentence(regression))}</p>"
        text += _escaped(REGRESSION_HEADS, regression_rows(regression))
        yield _section(f"Regression, measured in {each['environment']}", text)
    if ledger := each.get("scaling"):
        text = f"<p>Policy: {escape(ledger['policy'])}. Seconds since the load rose, or fell.</p>"
        text += _escaped(LEDGER_HEADS, ledger_rows(ledger))
        yield _section(f"Where scaling's minutes went in {each['environment']}", text)


def _load_table(loads: Sequence[tuple[str, Document]]) -> str:
    rows = [
        [
            escape(name if len(result["phases"]) == 1 else f"{name}: {phase['name']}"),
            amount(phase["offered_rps"]),
            amount(phase["achieved_rps"]),
            amount(phase["requests"]),
            amount(phase["failures"]),
            *(amount(phase[key]) for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
            escape("; ".join(_remarks(phase))),
        ]
        for name, result in loads
        for phase in result["phases"]
    ]
    heads = ["phase", "#offered /s", "#answered /s", "#requests", "#failed", "#p50 ms", "#p95 ms", "#p99 ms", "#max ms", "errors and remarks"]  # fmt: skip
    return _table(heads, rows)


def _remarks(phase: Document) -> list[str]:
    errors = [f"{count} × {text}" for text, count in phase["errors"].items()]
    return [*([f"INVALID: {phase['invalid']}"] if phase["invalid"] else []), *errors]


def _step_table(steps: Sequence[Document]) -> str:
    ordered = sorted(steps, key=lambda step: step["started"])
    rows = [
        [escape(step_name(step)), f"{moment(step['started']):%H:%M:%S}", f"{step['seconds']:.1f}", _calls(step["calls"])]
        for step in ordered
    ]  # fmt: skip
    rows.append(["all", "", f"{sum(step['seconds'] for step in ordered):.1f}", ""])
    return _table(["step", "#began", "#seconds", "calls made"], rows)


def _calls(calls: Sequence[str]) -> str:
    return "<br>".join(map(escape, calls)) if calls else "none"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table from cells that are HTML already; a heading with # is of a column of numbers."""
    kinds = [" class='n'" if head.startswith("#") else "" for head in heads]
    top = "".join(f"<th{k}>{escape(h.removeprefix('#'))}</th>" for k, h in zip(kinds, heads, strict=True))
    lines = ("".join(f"<td{k}>{c}</td>" for k, c in zip(kinds, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load_tests.report", description=__doc__.splitlines()[0])
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    for option, what in (("load", "NAME=result.json"), ("evidence", "FILE"), ("steps", "FILE")):
        parser.add_argument(f"--{option}", nargs="+", action="extend", default=[], metavar=what)
    parser.add_argument("--release", type=Path)
    args = parser.parse_args(argv)
    evidence = [_read(path) for path in args.evidence]
    named = [(name, path) for name, _, path in (each.partition("=") for each in args.load)]
    earlier = {
        name: sentence for name, path in named if (sentence := _measured_earlier(name, path, evidence))
    }
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
    """Say when a result that is not here was measured, if kept evidence names it: a run that found its release
    verified already has measured nothing.
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
