"""The closing tables: the live endpoints, every gate, and the time of each step."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rehearsal.live_check import LiveEndpoint
from rehearsal.progress import Row

COLOURS = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


def show_live_endpoints(
    console: Console, release: str, live: list[LiveEndpoint], clients: dict[str, tuple[int, int]]
) -> None:
    """Show each endpoint's release, instances, scaling target and failed client requests.

    `clients`: requests and failures by endpoint.
    """
    table = Table(title=f"release {release}", title_justify="left")
    headings = (
        "environment",
        "endpoint",
        "release",
        "instances that answered",
        "scaling target",
        "failed requests",
    )
    for heading in headings:
        table.add_column(heading)
    for each in live:
        requests, failures = clients[each.endpoint]
        target = (
            "none" if each.policy_target is None else f"{each.policy_target:,.0f} invocations/instance/min"
        )
        failed = f"{failures} of {requests:,}"
        table.add_row(each.environment, each.endpoint, each.release, str(each.instances), target, failed)
    console.print(table)


def show_identities(console: Console, identities: dict[str, tuple[str, str]]) -> None:
    """Show the account of each environment, and the role as which its steps ran."""
    table = Table(title="accounts and roles", title_justify="left")
    for heading in ("environment", "account, Region", "role of its steps"):
        table.add_column(heading)
    for environment, (place, role) in identities.items():
        table.add_row(environment, place, role)
    console.print(table)


def show_gates(console: Console, evidence: Path) -> None:
    """Show the gates of an evidence file; nothing if it was not written."""
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
    for note in found.get("notes", ()):
        console.print(note, markup=False)


def _amount(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def show_times(console: Console, rows: list[Row]) -> None:
    """Show the seconds of every step that was started, and their sum."""
    table = Table(title="time per step", title_justify="left")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for row in rows:
        if row.state != "waiting":
            table.add_row(row.name, f"{row.seconds:.1f}" + ("  failed" if row.state == "failed" else ""))
    table.add_row("all", f"{sum(row.seconds for row in rows):.1f}", style="bold")
    console.print(table)
