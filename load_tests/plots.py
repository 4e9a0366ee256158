"""The plots of the report: latency, throughput and instances on one time axis, and the capacity search."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#65a30d", "#be185d")
INK, GRID, BAD, BAR = "#334155", "#e2e8f0", "#dc2626", "#cbd5e1"
PERCENTILES = (("p50_ms", "p50", "dot"), ("p95_ms", "p95", "dash"), ("p99_ms", "p99", "solid"))
STEPS, LATENCY, THROUGHPUT, INSTANCES = 1, 2, 3, 4
ROWS = (
    "steps",
    "latency in ms: p99 solid, p95 dashed, p50 dotted",
    "requests per second: served solid, offered dotted, × failed",
    "instances: an area for each endpoint config, desired in all dotted",
)
GAP_SECONDS = 3  # the line is interrupted where no request began for longer than this

Result = Mapping[str, Any]


def moment(epoch: float) -> datetime:
    """Convert epoch seconds to a UTC datetime."""
    return datetime.fromtimestamp(epoch, UTC)


def timeline(loads: Sequence[tuple[str, Result]], steps: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw every load test over wall-clock time: one colour a load test, one dash pattern a percentile.

    `loads`: (name, content of a result.json); `steps`: contents of step files.
    """
    figure = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.16, 0.34, 0.28, 0.22],
        subplot_titles=ROWS,
    )  # fmt: skip
    for position, (name, result) in enumerate(loads):
        for row, trace in _traces(name, result):
            trace.line.color = COLOURS[position % len(COLOURS)]
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
    figure.update_annotations({"x": 0, "xanchor": "left", "font.size": 13}, {"xref": "paper"})
    figure.update_yaxes(type="log", dtick="D2", row=LATENCY, col=1)
    figure.update_yaxes(rangemode="tozero", row=THROUGHPUT, col=1)
    figure.update_yaxes(rangemode="tozero", tick0=0, dtick=1, row=INSTANCES, col=1)
    figure.update_yaxes(visible=False, range=[-0.6, max(len(steps), 1) - 0.4], row=STEPS, col=1)
    return _styled(
        figure, height=900, legend_rows=math.ceil(len(loads) / 2)
    )  # a phone shows two legend entries side by side


def _traces(name: str, result: Result) -> Iterator[tuple[int, go.Scatter]]:
    """Yield (row of the figure, line); the p99 line represents the load test in the legend."""
    rows = list(_with_gaps(result["seconds"]))
    times = [moment(row["at"]) for row in rows]
    for key, label, dash in PERCENTILES:
        values = [row[key] for row in rows]
        yield LATENCY, _line(name, label, times, values, dash=dash, width=2 if label == "p99" else 1.2)
    served = [None if row["requests"] is None else row["requests"] - row["failures"] for row in rows]
    yield THROUGHPUT, _line(name, "served", times, served, width=1.6)
    phases = result["phases"]
    edges = [moment(phase[end]) for phase in phases for end in ("started", "finished")]
    rates = [phase["offered_rps"] for phase in phases for _ in range(2)]
    yield THROUGHPUT, _line(name, "offered", edges, rates, dash="dot", width=1)
    yield from ((INSTANCES, line) for line in _fleets(name, result))


def _fleets(name: str, result: Result) -> Iterator[go.Scatter]:
    """Yield the total desired instances as a line, and the current ones as stacked areas, one for each config."""
    rows = [row for row in result["fleet"] if row["current"] is not None]
    seen = [moment(row["at"]) for row in rows]
    fleets = [[row, *([row["pending"]] if row.get("pending") else [])] for row in rows]
    desired = [sum(fleet["desired"] for fleet in each) for each in fleets]
    yield _line(name, "desired", seen, desired, dash="dot", width=1.2, shape="hv")
    for config in dict.fromkeys(fleet["config"] for each in fleets for fleet in each):
        counts = [sum(fleet["current"] for fleet in each if fleet["config"] == config) for each in fleets]
        line = _line(name, f"current {config}", seen, counts, width=1.2, shape="hv")
        yield line.update(stackgroup=name, meta="current")


def _line(
    load: str, what: str, x: Sequence[datetime], y: Sequence[float | None], *,
    dash: str = "solid", width: float, shape: str = "linear",
) -> go.Scatter:  # fmt: skip
    return go.Scatter(
        name=load, legendgroup=load, showlegend=what == "p99", x=list(x), y=list(y), mode="lines",
        connectgaps=False, line={"dash": dash, "width": width, "shape": shape}, meta=what,
        hovertemplate=f"{load}, {what}: %{{y:.4g}}<extra></extra>",
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
    """Yield the rows, and an empty one wherever no request began for GAP_SECONDS."""
    before = None
    for row in rows:
        if before is not None and row["at"] - before > GAP_SECONDS:
            yield dict.fromkeys(row) | {"at": before + 1}
        yield row
        before = row["at"]


def _draw_steps(figure: go.Figure, steps: Sequence[Mapping[str, Any]]) -> None:
    """Draw each step as a bar in a row of its own, with its name on the side that has room."""
    if not steps:
        return
    middle = (min(step["started"] for step in steps) + max(step["finished"] for step in steps)) / 2
    for position, step in enumerate(sorted(steps, key=lambda step: -float(step["started"]))):
        begin, end = step["started"], step["finished"]
        is_long, is_late = end - begin > middle - begin + 1, (begin + end) / 2 > middle
        figure.add_trace(
            go.Scatter(
                x=[moment(begin), moment(end)], y=[position, position], mode="lines", showlegend=False,
                line={"color": BAR, "width": 12}, meta="step",
                hovertemplate=f"{step_name(step)}<extra></extra>",
            ),
            row=STEPS, col=1,
        )  # fmt: skip
        side = ("left", begin) if is_long else ("right", begin) if is_late else ("left", end)
        figure.add_annotation(
            text=f"{step_name(step)} {step['seconds']:.0f} s", showarrow=False, xanchor=side[0],
            x=moment(side[1]), y=position, row=STEPS, col=1, font={"size": 11, "color": INK},
            xshift=-4 if side[0] == "right" else 4,
        )  # fmt: skip


def step_name(step: Mapping[str, Any]) -> str:
    """Return the label of a step of the pipeline, such as "deploy staging"."""
    return f"{step['step']} {step['environment']}"


def marks(loads: Sequence[tuple[str, Result]], steps: Sequence[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return the times to mark with a vertical line: a release in service, a policy in force, a new config."""
    found: list[tuple[float, str]] = []
    for step in steps:
        for key, text in (("in_service_at", "in service"), ("policy_in_force_at", "policy in force")):
            at = step["result"].get(key)
            if at is not None and step["started"] <= at <= step["finished"]:
                found.append((at, f"{text}, {step['environment']}"))
    for _, result in loads:
        configs = [row for row in result["fleet"] if row["config"] is not None]
        for before, after in pairwise(configs):
            if before["config"] != after["config"]:
                found.append((after["at"], f"new config, {result['endpoint']}"))
    return sorted(found)


def capacity_plot(capacity: Mapping[str, Any]) -> go.Figure:
    """Draw latency over the offered rate on one instance, with the SLO and the capacity."""
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
    figure.add_hline(y=limit, line={"color": BAD, "dash": "dash"})
    figure.add_annotation(  # on a logarithmic axis an annotation's place is the logarithm
        text=f"limit {limit:g} ms", x=0, xref="paper", xanchor="left", y=math.log10(limit), yanchor="bottom",
        showarrow=False, font={"color": BAD},
    )  # fmt: skip
    rate = capacity["requests_per_second"]
    if rate is not None:
        figure.add_vline(x=rate, line={"color": COLOURS[2]}, annotation_text=f"capacity {rate:.0f}/s")
    figure.update_yaxes(title_text="ms", type="log", dtick="D2")
    figure.update_xaxes(title_text="requests per second offered to one instance", rangemode="tozero")
    return _styled(figure, height=340)


def _styled(figure: go.Figure, height: int, legend_rows: int = 1) -> go.Figure:
    top = 44 + 20 * legend_rows
    figure.update_layout(
        template="plotly_white", height=height + top, hovermode="x unified", bargap=0.2,
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        margin={"l": 44, "r": 12, "t": top, "b": 40}, legend={"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0},
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)
    return figure
