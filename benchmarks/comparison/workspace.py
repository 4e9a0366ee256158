"""The place where a server of the comparison is started."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison.workloads import Workload

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Workspace:
    """A scratch folder of one server (with a short path, since it holds sockets), and the workload to serve."""

    scratch: Path
    port: int  # on which the server is reached, through nginx
    workload: Workload
    body: Path  # the file with the workload's request
    python: Path  # of the server's own virtual environment
