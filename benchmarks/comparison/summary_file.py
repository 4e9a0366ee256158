"""The published summary, benchmarks/serving_results.json: each range as [lowest, median, highest], a line a figure."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.comparison.summary import LoadFigures, Range, ServerFigures, Summary

SCHEMA = 2
DIGITS = {  # finer than the table shows, so that it is the same when made from the file
    "requests_per_second": 4, "p50_ms": 4, "p99_ms": 4, "cold_start_seconds": 6, "pss_mb": 4,
    "background_cpu_share": 4,
}  # fmt: skip


def load(path: Path, seconds: int) -> Summary:
    """Read the file; return an empty summary if it does not exist."""
    if not path.is_file():
        return Summary(seconds)
    document = json.loads(path.read_text())
    servers = [_read_server(each) for each in document["servers"]]
    return Summary(document["seconds"], document["machine"], servers, document["missing"])


def save(summary: Summary, path: Path) -> None:
    """Write the file atomically."""
    head = {
        "schema": SCHEMA, "seconds": summary.seconds, "machine": summary.machine, "missing": summary.missing
    }  # fmt: skip
    begin = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    servers = ",\n".join(_server_lines(each) for each in summary.servers)
    scratch = path.with_suffix(".part")
    scratch.write_text(f'{begin},\n "servers": [\n{servers}\n ]\n}}\n')
    scratch.replace(path)


def _server_lines(server: ServerFigures) -> str:
    own, loads = _rounded(asdict(server)), [json.dumps(_rounded(asdict(load))) for load in server.loads]
    del own["loads"]
    begin = json.dumps(own).removesuffix("}")
    lines = ",\n".join(f"   {load}" for load in loads)
    return f'  {begin}, "loads": [\n{lines}\n  ]}}'


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [round(value, DIGITS[name]) for value in figure] if name in DIGITS and figure else figure
        for name, figure in figures.items()
    }


def _read_server(document: dict[str, Any]) -> ServerFigures:
    loads = tuple(LoadFigures(**_with_ranges(load)) for load in document["loads"])
    fields = _with_ranges(document) | {"loads": loads, "revisions": tuple(document["revisions"])}
    return ServerFigures(**fields)


def _with_ranges(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Range(*value) if name in DIGITS and value is not None else value
        for name, value in document.items()
    }
