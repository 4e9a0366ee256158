"""Trials for the tests of `make bench-serving`, without a server."""

from benchmarks.comparison import workloads
from benchmarks.comparison.load import Measurement
from benchmarks.comparison.measuring import ServerMeasurement
from benchmarks.comparison.servers import all_servers
from benchmarks.comparison.trials import Trial

SERVERS = all_servers()
T1 = workloads.digits("T1", 1, (1, 8))


def trial(
    server: str, repetition: int, rate: float, *, code: str = "m", p99: float = 2.0, errors: int = 0
) -> Trial:
    """Make a trial with `rate` requests a second for each concurrent request, at 1 and 8."""
    runs = tuple(Measurement(each, rate * each, 1.0, p99, errors) for each in (1, 8))
    measured = ServerMeasurement(runs, 1.5, 100.0, 0.5)
    return Trial("T1", server, repetition, code, "2026-01-01 10:00 UTC", measured, "abc1234")
