"""A step's record as markdown, for GitHub's page of a run. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import PipelineError
from pipeline.state.records import StepRecord

MOST_ROWS = 50


def succeeded(record: StepRecord) -> str:
    """Say what a step found true, and list the calls that it made."""
    parts = [f"### ✅ {record.step} {record.environment} ({record.seconds:.1f} s)", *sections(record.result)]
    if record.calls:
        calls = "\n".join(f"- {_cell(call)}" for call in record.calls)
        parts.append(f"<details><summary>{len(record.calls)} calls</summary>\n\n{calls}\n\n</details>")
    return "\n\n".join(parts) + "\n\n"


def failed(step: str, environment: str, error: PipelineError) -> str:
    """Say what stopped a step, and what to do about it."""
    what = "\n".join(f"> {_cell(line)}" for line in error.what.splitlines())
    head = f"### ❌ {step} {environment}: {type(error).__name__}, exit code {error.exit_code}"
    return f"{head}\n\n{what}\n\n**Fix:** {_cell(error.fix)}\n\n"


def sections(result: Mapping[str, Any]) -> Iterator[str]:
    """Show a result: what is one value in one table, every list of things in a table of its own."""
    yield _table(("", ""), [[name, _shown(value)] for name, value in _single(result)])
    for name, value in result.items():
        if _is_table(value):
            heads = list(dict.fromkeys(key for row in value for key in row))
            rows = [[_shown(row.get(key)) for key in heads] for row in value[:MOST_ROWS]]
            more = f"\n\n… and {len(value) - MOST_ROWS} more" if len(value) > MOST_ROWS else ""
            yield f"**{name}**\n\n{_table(heads, rows)}{more}"


def _single(result: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield values by their names, those of a section with the section's name before."""
    for name, value in result.items():
        if isinstance(value, Mapping) and value:
            yield from _single(value, f"{above}{name}.")
        elif not _is_table(value):
            yield f"{above}{name}", value


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _shown(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Keep what others wrote from being markup."""
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return plain.replace("`", "'")
