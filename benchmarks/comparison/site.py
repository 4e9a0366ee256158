"""Where a server of the comparison is started."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison.workloads import Workload

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Site:
    """A scratch directory of its own (its path is short: it holds sockets), and what is to be served there."""

    scratch: Path
    port: int  # the front's
    workload: Workload
    body: Path  # the file with the workload's request
    python: Path  # of the server's own virtual environment
