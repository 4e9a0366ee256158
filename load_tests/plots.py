"""The plots of the report: latency, throughput and instances on one time axis, and the capacity search."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#65a30d", "#be185d")
INK, GRID, BAD = "#334155", "#e2e8f0", "#dc2626"
PERCENTILES = (("p50_ms", "p50", "dot"), ("p95_ms", "p95", "dash"), ("p99_ms", "p99", "solid"))
STEPS, LATENCY, THROUGHPUT, INSTANCES = 1, 2, 3, 4
ROWS = ("steps", "latency", "requests per second", "instances")
SILENCE_SECONDS = 3  # longer than this without a request: the line is interrupted

Result = Mapping[str, Any]


def moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def timeline(loads: Sequence[tuple[str, Result]], steps: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw every load test over wall-clock time; a colour is a load test, a dash is a percentile.

    `loads`: (name, content of a result.json); `steps`: contents of step files.
    """
    figure = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.16, 0.34, 0.28, 0.22],
        subplot_titles=ROWS,
    )  # fmt: skip
    for position, (name, result) in enumerate(loads):
        colour = COLOURS[position % len(COLOURS)]
        for row, trace in _traces(name, result):
            trace.update(legendgroup=name, legendgrouptitle_text=name)
            trace.line.color = colour
            figure.add_trace(trace, row=row, col=1)
        for failures in _failures(name, result):
            figure.add_trace(failures, row=THROUGHPUT, col=1)
    _draw_steps(figure, steps)
    for at, text in marks(loads, steps):
        figure.add_vline(x=moment(at), line={"color": INK, "width": 1, "dash": "dot"}, opacity=0.6)
        figure.add_annotation(
            x=moment(at), y=1, yref=f"y{LATENCY} domain", text=text, showarrow=False, textangle=-90,
            xanchor="right", yanchor="top", font={"size": 10, "color": INK},
        )  # fmt: skip
    figure.update_yaxes(title_text="ms", type="log", dtick="D2", row=LATENCY, col=1)
    figure.update_yaxes(title_text="1/s", rangemode="tozero", row=THROUGHPUT, col=1)
    figure.update_yaxes(rangemode="tozero", tick0=0, dtick=1, row=INSTANCES, col=1)
    figure.update_yaxes(visible=False, range=[-0.6, max(len(steps), 1) - 0.4], row=STEPS, col=1)
    figure.update_xaxes(title_text="UTC", row=INSTANCES, col=1)
    return _styled(figure, height=920)


def _traces(name: str, result: Result) -> Iterator[tuple[int, go.Scatter]]:
    rows = list(_with_gaps(result["seconds"]))
    times = [moment(row["at"]) for row in rows]
    for key, label, dash in PERCENTILES:
        width = 2 if label == "p99" else 1.2
        values = [row[key] for row in rows]
        yield LATENCY, _line(f"{name} {label}", label, times, values, dash=dash, width=width)
    served = [None if row["requests"] is None else row["requests"] - row["failures"] for row in rows]
    yield THROUGHPUT, _line(f"{name} served", "served", times, served, width=1.6)
    offered = [(phase, phase["offered_rps"]) for phase in result["phases"]]
    edges = [moment(phase[end]) for phase, _ in offered for end in ("started", "finished")]
    rates = [rate for _, rate in offered for _ in range(2)]
    yield THROUGHPUT, _line(f"{name} offered", "offered", edges, rates, dash="dot", width=1)
    fleet = [row for row in result["fleet"] if row["current"] is not None]
    seen = [moment(row["at"]) for row in fleet]
    for key, dash, width in (("desired", "dot", 1.2), ("current", "solid", 2)):
        counts = [row[key] for row in fleet]
        yield INSTANCES, _line(f"{name} {key}", key, seen, counts, dash=dash, width=width, shape="hv")


def _line(
    name: str, label: str, x: Sequence[datetime], y: Sequence[float | None], *,
    dash: str = "solid", width: float, shape: str = "linear",
) -> go.Scatter:  # fmt: skip
    return go.Scatter(
        name=label, x=list(x), y=list(y), mode="lines", connectgaps=False,
        line={"dash": dash, "width": width, "shape": shape},
        hovertemplate=f"{name}: %{{y:.4g}}<extra></extra>",
    )  # fmt: skip


def _failures(name: str, result: Result) -> Iterator[go.Scatter]:
    rows = [row for row in result["seconds"] if row["failures"]]
    if rows:
        yield go.Scatter(
            name="failed", x=[moment(row["at"]) for row in rows], y=[row["failures"] for row in rows],
            mode="markers", marker={"color": BAD, "size": 7, "symbol": "x"}, legendgroup=name,
            hovertemplate=f"{name}: %{{y}} failed<extra></extra>",
        )  # fmt: skip


def _with_gaps(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the seconds, and an empty one wherever nothing was sent for a while."""
    before = None
    for row in rows:
        if before is not None and row["at"] - before > SILENCE_SECONDS:
            yield dict.fromkeys(row) | {"at": before + 1}
        yield row
        before = row["at"]


def _draw_steps(figure: go.Figure, steps: Sequence[Mapping[str, Any]]) -> None:
    if not steps:
        return
    begin, end = min(step["started"] for step in steps), max(step["finished"] for step in steps)
    for position, step in enumerate(sorted(steps, key=lambda step: -step["started"])):
        is_late = step["started"] + step["finished"] > begin + end
        figure.add_trace(
            go.Bar(
                orientation="h", y=[position], base=[moment(step["started"])],
                x=[1000 * (step["finished"] - step["started"])], width=0.7, showlegend=False,
                marker={"color": "#94a3b8"}, hovertemplate=f"{step_name(step)}<extra></extra>",
            ),
            row=STEPS, col=1,
        )  # fmt: skip
        figure.add_annotation(
            x=moment(step["started"] if is_late else step["finished"]), y=position, row=STEPS, col=1,
            text=f"{step_name(step)} {step['seconds']:.0f} s", showarrow=False, font={"size": 11, "color": INK},
            xanchor="right" if is_late else "left", xshift=-4 if is_late else 4,
        )  # fmt: skip


def step_name(step: Mapping[str, Any]) -> str:
    return f"{step['step']} {step['environment']}"


def marks(loads: Sequence[tuple[str, Result]], steps: Sequence[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return the moments worth a vertical line: another config went live, a policy came into force."""
    found: list[tuple[float, str]] = []
    for step in steps:
        at = step["result"].get("policy_in_force_at")
        if at is not None and step["started"] <= at <= step["finished"]:
            found.append((at, f"policy in force, {step['environment']}"))
    for _, result in loads:
        configs = [row for row in result["fleet"] if row["config"] is not None]
        for before, after in pairwise(configs):
            if before["config"] != after["config"]:
                found.append((after["at"], f"new release live, {result['endpoint']}"))
    return sorted(found)


def capacity_plot(capacity: Mapping[str, Any]) -> go.Figure:
    """Draw p99 over the offered rate on one instance, with the limit and the rate that was named."""
    steps = sorted(capacity["steps"], key=lambda step: step["offered_rps"])
    figure = go.Figure()
    offered = [step["offered_rps"] for step in steps]
    for key, label, dash in (PERCENTILES[0], PERCENTILES[2]):
        line = {"color": COLOURS[0], "dash": dash}
        hover = f"%{{x}}/s offered: {label} %{{y:.4g}} ms<extra></extra>"
        values = [step[key] for step in steps]
        figure.add_trace(
            go.Scatter(name=label, x=offered, y=values, mode="lines+markers", line=line, hovertemplate=hover)
        )
    limit = capacity["slo"]["p99_ms"]
    figure.add_hline(y=limit, line={"color": BAD, "dash": "dash"}, annotation_text=f"limit {limit:g} ms")
    rate = capacity["requests_per_second"]
    if rate is not None:
        figure.add_vline(x=rate, line={"color": COLOURS[2]}, annotation_text=f"capacity {rate:.0f}/s")
    figure.update_yaxes(title_text="ms", type="log", dtick="D2")
    figure.update_xaxes(title_text="requests per second offered to one instance", rangemode="tozero")
    return _styled(figure, height=340)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white", height=height, hovermode="x unified", bargap=0.2,
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        margin={"l": 48, "r": 12, "t": 32, "b": 40}, legend={"orientation": "h", "y": -0.08, "yanchor": "top"},
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)
    return figure
