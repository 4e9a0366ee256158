"""The closing tables: what is live where, every gate, and the time each step took."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.progress import Row
from rehearsal.proof import Live

COLOURS = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


def show_live(console: Console, release: str, live: list[Live], clients: dict[str, tuple[int, int]]) -> None:
    table = Table(title=f"release {release}", title_justify="left")
    for heading in (
        "environment",
        "endpoint",
        "answers with",
        "instances heard",
        "scaling target",
        "clients lost",
    ):
        table.add_column(heading)
    for one in live:
        requests, failures = clients[one.endpoint]
        target = "none" if one.policy_target is None else f"{one.policy_target:,.0f} invocations/instance/min"
        table.add_row(
            one.environment,
            one.endpoint,
            one.release,
            str(one.instances),
            target,
            f"{failures} of {requests:,}",
        )
    console.print(table)


def show_gates(console: Console, evidence: Path) -> None:
    if not evidence.is_file():
        return
    found: dict[str, Any] = json.loads(evidence.read_text())
    table = Table(title=f"gates in {found['environment']}", title_justify="left")
    for heading in ("gate", "metric", "limit", "measured", "verdict", "reason"):
        table.add_column(heading, overflow="fold")
    for gate in found["gates"]:
        verdict = gate["verdict"]
        table.add_row(
            gate["name"], gate["metric"], _amount(gate["limit"], gate["unit"]), _amount(gate["measured"], gate["unit"]),
            f"[{COLOURS.get(verdict, 'white')}]{verdict.upper()}[/]", gate["reason"],
        )  # fmt: skip
    console.print(table)


def _amount(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def show_times(console: Console, rows: list[Row]) -> None:
    table = Table(title="time per step", title_justify="left")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for row in rows:
        if row.state != "waiting":
            table.add_row(row.name, f"{row.seconds:.1f}" + ("  failed" if row.state == "failed" else ""))
    table.add_row("all", f"{sum(row.seconds for row in rows):.1f}", style="bold")
    console.print(table)
