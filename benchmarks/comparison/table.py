"""The summary as markdown tables, put between two marks of docs/performance.md. Pure, except `write`."""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.comparison.servers import Server
from benchmarks.comparison.summary import LoadFigures, ServerFigures, Summary, compare
from benchmarks.comparison.workloads import Workload

BEGIN, END = "<!-- bench-serving: begin -->", "<!-- bench-serving: end -->"
DASH = "–"
IN_PROCESS = "in-process"
LIMITED_BY_MODEL = ("M", "torch")  # workload and engine for which `in-process` is an upper limit

Servers = Mapping[str, Server]


def page(summary: Summary, servers: Servers, workloads: Mapping[str, Workload]) -> str:
    """Return the text between the marks."""
    parts = [_conditions(summary)]
    for workload in workloads.values():
        if any(each.workload == workload.name for each in summary.servers):
            parts += [
                f"### {workload.title}",
                _rates(summary, servers, workload),
                _ratios(summary, servers, workload),
                _sentences(summary, servers, workload),
            ]
    parts.append(_missing(summary, servers, workloads))
    return "\n\n".join(part for part in parts if part)


def _conditions(summary: Summary) -> str:
    measured = summary.servers
    if not measured:
        return "Nothing has been measured yet."
    machine = "; ".join(f"{name}: {value}" for name, value in summary.machine.items())
    commits = ", ".join(sorted({revision for each in measured for revision in each.revisions}))
    repetitions = sorted({each.repetitions for each in measured})
    counts = f"{repetitions[0]}" if len(repetitions) == 1 else f"{repetitions[0]} to {repetitions[-1]}"
    highest = max(each.background_cpu_share.highest for each in measured)
    typical = statistics.median(each.background_cpu_share.median for each in measured)
    return (
        f"Measured {min(each.first for each in measured)} to {max(each.last for each in measured)} at commit "
        f"{commits}: runs of {summary.seconds} s, {counts} a server, in turns; medians. wrk with one thread on the "
        "same machine, over HTTP to nginx. Two workers of one thread each, except in the row that names another "
        f"setting; no access logs. Other programs used {typical:.0%} of the CPUs meanwhile in the median, "
        f"{highest:.0%} at most.\n\n{machine}."
    )


def _rates(summary: Summary, servers: Servers, workload: Workload) -> str:
    heads = [f"{each} concurrent" for each in workload.concurrencies]
    p99_head = "p99 at " + " · ".join(map(str, workload.concurrencies))
    lines = [
        _row(["server", "engine", *heads, p99_head, "PSS MB", "cold start s"]),
        _row(["---", "---", *["---:"] * (len(heads) + 3)]),
    ]
    for server in servers.values():
        figures = summary.of(workload.name, server.name)
        if figures is not None:
            lines.append(_row(_rates_row(server, figures, workload)))
    return "\n".join(lines)


def _rates_row(server: Server, figures: ServerFigures, workload: Workload) -> list[str]:
    loads = [figures.at(each) for each in workload.concurrencies]
    in_process = figures.at(0)
    if in_process is not None:
        rates = [f"{in_process.requests_per_second.median:,.0f}", *[""] * (len(loads) - 1)]
        p99 = DASH
    else:
        rates = [_rate(load, figures.repetitions) for load in loads]
        p99 = (
            " · ".join(f"{load.p99_ms.median:.1f}" if load and load.p99_ms else DASH for load in loads)
            + " ms"
        )
    title = f"**{server.title}**" if server.kind == "ours" else server.title
    engine = DASH if server.engine == "none" else _engine(server, figures)
    pss = f"{figures.pss_mb.median:,.0f}" if figures.pss_mb else DASH
    cold_start = f"{figures.cold_start_seconds.median:.2f}" if figures.cold_start_seconds else DASH
    return [title, engine, *rates, p99, pss, cold_start]


def _ratios(summary: Summary, servers: Servers, workload: Workload) -> str:
    """Return the ratios of our servers to the fastest peer of the same run."""
    peers = [server for server in servers.values() if server.kind == "peer"]
    lines = []
    for server, figures in _ours(summary, servers, workload):
        cells = []
        for concurrency in workload.concurrencies:
            others = [
                (peer.title, found.at(concurrency))
                for peer in peers
                if (found := summary.of(workload.name, peer.name)) is not None
            ]
            comparison = compare(figures.at(concurrency), others)
            if comparison is None:
                cells.append(DASH)
                continue
            p99 = f"; p99 {comparison.p99_ratio:.2f}" if comparison.p99_ratio is not None else ""
            cells.append(f"{comparison.ratio:.1f}× {comparison.fastest_peer}{p99}")
        lines.append(_row([_engine(server, figures), *cells]))
    if not lines:
        return ""
    heads = [_row(["ours to the fastest peer", *[f"{each} concurrent" for each in workload.concurrencies]])]
    return "\n".join([*heads, _row(["---"] * (len(workload.concurrencies) + 1)), *lines])


def _sentences(summary: Summary, servers: Servers, workload: Workload) -> str:
    """Return our memory relative to TorchServe's, and our rate relative to prediction without a server."""
    lines = []
    in_process = summary.of(workload.name, IN_PROCESS)
    limit = in_process.at(0) if in_process else None
    torchserve = summary.of(workload.name, "torchserve")
    for server, figures in _ours(summary, servers, workload):
        if figures.pss_mb and torchserve and torchserve.pss_mb:
            ratio = figures.pss_mb.median / torchserve.pss_mb.median
            lines.append(f"- {_engine(server, figures)}: {ratio:.2f} of TorchServe's memory")
        if limit and (workload.name, server.engine) == LIMITED_BY_MODEL:
            shares = [
                f"{load.requests_per_second.median / limit.requests_per_second.median:.0%} at {load.concurrency}"
                for load in figures.loads
            ]
            lines.append(
                f"- {_engine(server, figures)}: {', '.join(shares)} of the predictions of two processes without a "
                "server"
            )
    return "\n".join(lines)


def _ours(summary: Summary, servers: Servers, workload: Workload) -> Iterable[tuple[Server, ServerFigures]]:
    for server in servers.values():
        figures = summary.of(workload.name, server.name)
        if server.kind == "ours" and figures is not None:
            yield server, figures


def _missing(summary: Summary, servers: Servers, workloads: Mapping[str, Workload]) -> str:
    """Return the servers that were not measured, each with its reason."""
    lines = [f"- {key}: {reason}" for key, reason in sorted(summary.missing.items())]
    for workload in workloads.values():
        left = [
            server.name
            for server in servers.values()
            if workload.name in server.rows
            and summary.of(workload.name, server.name) is None
            and f"{workload.name} {server.name}" not in summary.missing
        ]
        if left:
            lines.append(f"- {workload.name}, not run: {', '.join(left)}")
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def write(text: str, document: Path) -> None:
    """Put `text` between the marks. Raises ValueError if the document does not have each mark once."""
    page = document.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{document}: expected the lines {BEGIN} and {END}, once each")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _engine(server: Server, figures: ServerFigures) -> str:
    """Return engine and precision; for ENGINE=auto the engine that it chose."""
    return f"auto: {figures.engine}" if figures.engine else f"{server.engine} {server.precision}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(load: LoadFigures | None, repetitions: int) -> str:
    if load is None:
        return DASH
    lowest, median, highest = load.requests_per_second
    spread = f" ({lowest:,.0f}–{highest:,.0f})" if repetitions > 1 else ""
    errors = f", {load.errors} errors" if load.errors else ""
    return f"{median:,.0f}{spread}{errors}"
