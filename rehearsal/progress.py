"""Live progress: on a terminal one row per step with its latest line, elsewhere plain lines."""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


@dataclass
class Row:
    """One step of the journey on the display."""

    name: str
    state: str = "waiting"  # waiting | running | done | failed
    line: str = ""
    started: float = 0.0
    seconds: float = 0.0
    spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def elapsed(self) -> float:
        return time.monotonic() - self.started if self.state == "running" else self.seconds


class Progress:
    """The rows of `names`, in order; `start`, `show_line` and `end` update them."""

    def __init__(self, names: list[str], console: Console) -> None:
        self.rows = [Row(name) for name in names]
        self.console = console
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def start(self, name: str) -> Row:
        row = next(row for row in self.rows if row.name == name)
        row.state, row.started = "running", time.monotonic()
        return row

    def show_line(self, row: Row, line: str) -> None:
        """Show a line of a step's output; on a terminal it replaces the one before."""
        row.line = line.strip()
        if not self.console.is_terminal:
            self.console.print(f"    {row.line}", markup=False, highlight=False, soft_wrap=True)

    def end(self, row: Row, *, failed: bool = False) -> None:
        row.seconds = time.monotonic() - row.started
        row.state = "failed" if failed else "done"
        if not self.console.is_terminal:
            self.console.print(
                f"{row.state:>6}  {row.name}  {row.seconds:.1f} s", markup=False, highlight=False
            )

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        marks = {"waiting": Text("·", "dim"), "done": Text("✔", "green"), "failed": Text("✘", "red")}
        for row in self.rows:
            mark = row.spinner if row.state == "running" else marks[row.state]
            seconds = f"{row.elapsed():.0f} s" if row.state != "waiting" else ""
            line = Text(row.line if row.state in ("running", "failed") else "", "dim", no_wrap=True)
            line.truncate(max(20, self.console.width - 50), overflow="ellipsis")
            table.add_row(mark, Text(row.name), Text(seconds, justify="right"), line)
        return table
