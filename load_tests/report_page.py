"""The report's HTML page: gates, plots, findings, load tests and steps, in one document that loads nothing."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from load_tests.evidence_text import (
    COST_HEADS,
    GATE_HEADS,
    REGRESSION_HEADS,
    TIMELINE_HEADS,
    Document,
    amount,
    capacity_sentence,
    cost_rows,
    cost_sentence,
    gate_rows,
    payload_notes,
    regression_rows,
    regression_sentence,
    timeline_rows,
)
from load_tests.plots import capacity_plot, moment, step_name, timeline

STYLE = Path(__file__).with_name("report.css").read_text()


def page(
    title: str,
    loads: Sequence[tuple[str, Document]],
    evidence: Sequence[Document],
    steps: Sequence[Document],
    release: Document | None,
    notes: Sequence[str] = (),
) -> str:
    """Return the whole page, self-contained. `notes`: sentences about load results that are not in it."""
    body = [_heading(title, evidence, steps, loads)]
    if release is not None:
        body.append(_section("Release", _release(release)))
    body += [_section(f"Gates in {each['environment']}", _gates(each)) for each in evidence]
    figures: list[Any] = []
    if loads or steps:
        figures.append(timeline(loads, steps))
        body.append(
            _section("Latency, throughput and instances over time (UTC)", _plot(figures[-1], is_first=True))
        )
    for each in evidence:
        body += _findings(each, figures)
    if loads or notes:
        words = "".join(f"<p>{escape(note)}</p>" for note in (*notes, *payload_notes(loads)))
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
    """Return the figure as HTML; the first one on the page includes plotly's script."""
    config = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    plot: str = figure.to_html(full_html=False, include_plotlyjs=is_first, config=config)
    return plot


def _release(release: Document) -> str:
    rows = [
        ("id", release["id"]),
        ("image", f"{release['image']['uri']}"),
        ("image digest", release["image"]["digest"] + (" (stand-in: hash of the sources)" if release["image"]["stand_in"] else "")),
        ("weights", f"{release['weights']['uri']}, {release['weights']['bytes']:,} bytes"),
        ("golden set", _golden(release)),
        ("commit", release["commit"] or "–"),
        ("run", release["run_url"] or "–"),
        ("created", release["created"]),
    ]  # fmt: skip
    return (
        f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd><code>{escape(str(v))}</code></dd>' for k, v in rows)}</dl>"
    )


def _golden(release: Document) -> str:
    """Name the golden set that the release is judged by."""
    if release.get("unchecked"):
        return "UNCHECKED: there is none"
    golden = release.get("golden")
    return f"{golden['cases']} cases, {golden['uri'] or 'in the archive'}" if golden else "in the archive"


def _gates(evidence: Document) -> str:
    rows = [[*map(escape, row[:3]), _badge(row[3], row[3]), escape(row[4])] for row in gate_rows(evidence)]
    notes = "".join(f"<p><strong>{escape(note)}</strong></p>" for note in evidence.get("notes", ()))
    return _table(GATE_HEADS, rows) + notes


def _text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table from plain text."""
    return _table(heads, ([escape(cell) for cell in row] for row in rows))


def _findings(each: Document, figures: list[Any]) -> Iterator[str]:
    """Yield the sections of one environment's evidence; append their figures to `figures`."""
    if capacity := each.get("capacity"):
        figures.append(capacity_plot(capacity))
        text = f"<p>{escape(capacity_sentence(capacity))}</p>"
        plot = _plot(figures[-1], is_first=len(figures) == 1)
        yield _section(f"Capacity of one instance, measured in {each['environment']}", text + plot)
    if cost := each.get("cost"):
        text = f"<p>{escape(cost_sentence(cost))}</p>{_text_table(COST_HEADS, cost_rows(cost))}"
        yield _section(f"Cost at the SLO, by the capacity in {each['environment']}", text)
    if regression := each.get("regression"):
        text = f"<p>{escape(regression_sentence(regression))}</p>"
        text += _text_table(REGRESSION_HEADS, regression_rows(regression))
        yield _section(f"Regression, measured in {each['environment']}", text)
    if scaling := each.get("scaling"):
        text = f"<p>Policy: {escape(scaling['policy'])}. Seconds from the rise or the fall of the load.</p>"
        text += _text_table(TIMELINE_HEADS, timeline_rows(scaling))
        yield _section(f"Scaling timeline in {each['environment']}", text)


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
    """Make a table from cells of HTML; a heading that begins with # marks a column of numbers."""
    kinds = [" class='n'" if head.startswith("#") else "" for head in heads]
    top = "".join(f"<th{k}>{escape(h.removeprefix('#'))}</th>" for k, h in zip(kinds, heads, strict=True))
    lines = ("".join(f"<td{k}>{c}</td>" for k, c in zip(kinds, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
