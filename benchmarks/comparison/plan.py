"""The plan of a run: selected servers, the order of their trials, and the fingerprint of the code they measure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.comparison.environments import ROOT
from benchmarks.comparison.servers import Server
from benchmarks.comparison.workloads import Workload

OURS, PEERS = ROOT / "container" / "src", ROOT / "benchmarks" / "comparison"
PEER_PARTS = (
    "programs",
    "requirements",
    "front.conf",
    "post.lua",
)  # the peers' own code, not the comparison's
EVERY_WORKLOAD, UNLIMITED = ("T1", "T32", "M", "MB", "MB16"), 100


@dataclass(frozen=True)
class PlannedTrial:
    """One trial to run."""

    workload: Workload
    server: Server
    repetition: int


def plan_trials(
    workloads: Sequence[Workload], servers: Sequence[Server], repeats: int
) -> Iterator[PlannedTrial]:
    """Yield the trials of each workload: servers A B C in the first repetition, B C A in the second, and so on.

    The rotation gives each server a different predecessor, whose after-effects would else always hit the same one.
    """
    for workload in workloads:
        served = [server for server in servers if workload.name in server.rows]
        for repetition in range(repeats):
            shift = repetition % max(len(served), 1)
            for server in [*served[shift:], *served[:shift]]:
                if repetition < server.max_repetitions:
                    yield PlannedTrial(workload, server, repetition)


def select_servers(names: str, servers: Mapping[str, Server]) -> list[Server]:
    """Return the servers that match one of the patterns, such as ours-* or torchserve.

    A server named in full runs every workload, without a limit on its repetitions. Raises ValueError for a pattern
    that matches none.
    """
    patterns = [name.strip() for name in names.split(",") if name.strip()] or ["*"]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in servers):
            raise ValueError(f"PEERS: there is no {pattern}; expected some of {', '.join(servers)}")
    return [
        replace(server, rows=EVERY_WORKLOAD, max_repetitions=UNLIMITED) if name in patterns else server
        for name, server in servers.items()
        if any(fnmatch(name, pattern) for pattern in patterns)
    ]


def fingerprint(server: Server) -> str:
    """Return a hash of the code that a trial of this server measures."""
    root = OURS if server.kind == "ours" else PEERS
    files = [
        file for file in sorted(root.rglob("*")) if file.is_file() and not _is_cache(file.relative_to(root))
    ]
    if server.kind != "ours":
        files = [file for file in files if file.relative_to(root).parts[0] in PEER_PARTS]
        files = [file for file in files if file.parent.name != "requirements" or file.stem == server.packages]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _is_cache(path: Path) -> bool:
    """Return True for a file that Python, mypy or ruff generated."""
    return any(part == "__pycache__" or part.endswith("_cache") for part in path.parts)
