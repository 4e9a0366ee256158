"""The figures as markdown, put between two marks of docs/performance.md. Pure, but for `write`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.comparison.figures import Figure, compare, figure, median_of
from benchmarks.comparison.results import Results, Visit
from benchmarks.comparison.servers import Server
from benchmarks.comparison.workloads import Workload

BEGIN, END = "<!-- bench-serving: begin -->", "<!-- bench-serving: end -->"
NEVER = "–"
GOALS: Mapping[tuple[str, str], Mapping[int, float]] = {  # (workload, engine): the ratios wanted
    ("T1", "torch"): {1: 1.5, 8: 3, 32: 4, 128: 3},
    ("T1", "auto"): {1: 3, 8: 7, 32: 8, 128: 4},
    ("T32", "torch"): {8: 3, 32: 3},
    ("T32", "auto"): {8: 3, 32: 3},
    ("M", "auto"): {8: 2, 32: 2},
}
OF_THE_LIMIT: Mapping[tuple[str, str], float] = {("M", "torch"): 0.95}


def page(results: Results, servers: Mapping[str, Server], workloads: Mapping[str, Workload]) -> str:
    """Everything between the marks."""
    parts = [_conditions(results)]
    for workload in workloads.values():
        if any(visit.workload == workload.name for visit in results.visits):
            parts += [
                f"### {workload.title}",
                _rates(results, servers, workload),
                _ratios(results, servers, workload),
                _sentences(results, servers, workload),
            ]
    parts.append(_missing(results, servers, workloads))
    return "\n\n".join(part for part in parts if part)


def _conditions(results: Results) -> str:
    visits = results.visits
    if not visits:
        return "Nothing has been measured yet."
    machine = "; ".join(f"{name}: {value}" for name, value in results.machine.items())
    commits = ", ".join(sorted({visit.revision for visit in visits}))
    repetitions = sorted({len(results.of(visit.workload, visit.server)) for visit in visits})
    counts = f"{repetitions[0]}" if len(repetitions) == 1 else f"{repetitions[0]} to {repetitions[-1]}"
    busiest = max(visit.found.others for visit in visits)
    typical = median_of(visit.found.others for visit in visits) or 0.0
    return (
        f"Measured {min(v.at for v in visits)} to {max(v.at for v in visits)} at commit {commits}: runs of "
        f"{results.seconds} s, {counts} a server, in turns; medians. wrk with one thread on the same machine, over "
        "HTTP to nginx. Two workers of one thread each everywhere but in the row that says otherwise; no access "
        f"logs. Other processes took {typical:.0%} of the CPUs meanwhile in the median, {busiest:.0%} at most."
        f"\n\n{machine}."
    )


def _rates(results: Results, servers: Mapping[str, Server], workload: Workload) -> str:
    heads = [f"{each} concurrent" for each in workload.concurrencies]
    lines = [
        _row(["server", "engine", *heads, "p99 at " + _joined(workload), "PSS MB", "cold start s"]),
        _row(["---", "---", *["---:"] * (len(heads) + 3)]),
    ]
    for server in servers.values():
        visits = results.of(workload.name, server.name)
        if not visits:
            continue
        cells = [figure(visits, each) for each in workload.concurrencies]
        within = figure(visits, 0)
        rates = [f"{within.median:,.0f}", *[""] * (len(cells) - 1)] if within else [_cell(c) for c in cells]
        tails = " · ".join(_number(cell.p99_ms if cell else None) for cell in cells)
        pss = median_of(visit.found.pss_mb for visit in visits)
        cold = median_of(visit.found.cold_start_seconds for visit in visits)
        title = f"**{server.title}**" if server.kind == "ours" else server.title
        engine = NEVER if server.engine == "none" else _engine(server, visits)
        more = [NEVER if within else f"{tails} ms", _whole(pss), NEVER if cold is None else f"{cold:.2f}"]
        lines.append(_row([title, engine, *rates, *more]))
    return "\n".join(lines)


def _ratios(results: Results, servers: Mapping[str, Server], workload: Workload) -> str:
    """Ours to the best peer of the same run, with the goal where there is one."""
    peers = [server for server in servers.values() if server.kind == "peer"]
    lines = []
    for server in servers.values():
        visits = results.of(workload.name, server.name)
        if server.kind != "ours" or not visits:
            continue
        cells = []
        for each in workload.concurrencies:
            others = [(peer.title, figure(results.of(workload.name, peer.name), each)) for peer in peers]
            found = compare(figure(visits, each), others)
            if found is None:
                cells.append(NEVER)
                continue
            goal = GOALS.get((workload.name, server.engine), {}).get(each)
            wanted = f", wanted {goal:g}" if goal else ""
            tail = f"; p99 {found.p99_ratio:.2f}" if found.p99_ratio is not None else ""
            cells.append(f"{found.ratio:.1f}× {found.best_peer}{wanted}{tail}")
        lines.append(_row([_engine(server, visits), *cells]))
    if not lines:
        return ""
    heads = [_row(["ours to the best peer", *[f"{each} concurrent" for each in workload.concurrencies]])]
    return "\n".join([*heads, _row(["---"] * (len(workload.concurrencies) + 1)), *lines])


def _sentences(results: Results, servers: Mapping[str, Server], workload: Workload) -> str:
    """Memory beside TorchServe's, and how near the limit of the processor ours comes."""
    lines = []
    limit = figure(results.of(workload.name, "in-process"), 0)
    theirs = median_of(visit.found.pss_mb for visit in results.of(workload.name, "torchserve"))
    for server in servers.values():
        visits = results.of(workload.name, server.name)
        if server.kind != "ours" or not visits:
            continue
        own = median_of(visit.found.pss_mb for visit in visits)
        if own and theirs:
            lines.append(
                f"- {_engine(server, visits)}: {own / theirs:.2f} of TorchServe's memory (wanted 0.5 or less)"
            )
        if limit and (workload.name, server.engine) in OF_THE_LIMIT:
            cells = [(each, figure(visits, each)) for each in workload.concurrencies]
            shares = [f"{cell.median / limit.median:.0%} at {each}" for each, cell in cells if cell]
            lines.append(
                f"- {_engine(server, visits)}: {', '.join(shares)} of what two processes predict "
                f"without a server (wanted {OF_THE_LIMIT[workload.name, server.engine]:.0%})"
            )
    return "\n".join(lines)


def _missing(results: Results, servers: Mapping[str, Server], workloads: Mapping[str, Workload]) -> str:
    """What was not measured, and why: nothing is dropped in silence."""
    lines = [f"- {key}: {reason}" for key, reason in sorted(results.missing.items())]
    for workload in workloads.values():
        left = [
            server.name
            for server in servers.values()
            if workload.name in server.rows
            and not results.of(workload.name, server.name)
            and f"{workload.name} {server.name}" not in results.missing
        ]
        if left:
            lines.append(f"- {workload.name}, not run: {', '.join(left)}")
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def write(text: str, document: Path) -> None:
    """Put `text` between the marks. Raises ValueError where the document has none."""
    page = document.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{document}: expected the lines {BEGIN} and {END}, once each")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _engine(server: Server, visits: Sequence[Visit]) -> str:
    """Engine and precision; of ENGINE=auto also what it took."""
    took = visits[-1].found.engine
    return f"auto: {took}" if took else f"{server.engine} {server.precision}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(found: Figure | None) -> str:
    if found is None:
        return NEVER
    spread = f" ({found.lowest:,.0f}–{found.highest:,.0f})" if found.repetitions > 1 else ""
    errors = f", {found.errors} errors" if found.errors else ""
    return f"{found.median:,.0f}{spread}{errors}"


def _joined(workload: Workload) -> str:
    names: Sequence[int] = workload.concurrencies
    return " · ".join(map(str, names))


def _number(value: float | None) -> str:
    return NEVER if value is None else f"{value:.1f}"


def _whole(value: float | None) -> str:
    return NEVER if value is None else f"{value:,.0f}"
