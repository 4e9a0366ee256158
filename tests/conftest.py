"""What every test may rely on: an engine or the reason why not, one case of each long matrix, its own credentials."""

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest

EVERY_CASE = os.environ.get("EVERY_CASE") == "1"
MATRIX_SEED = int(os.environ.get("MATRIX_SEED") or random.SystemRandom().randrange(10_000))


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a run begun in a shell's background ignores it, and so would they."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    if EVERY_CASE:
        return "matrices: every case"
    return f"matrices: one case of each, MATRIX_SEED={MATRIX_SEED} picks the same again"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of every test marked `matrix` keep one seeded case, unless EVERY_CASE=1 (make prove) wants them all."""
    matrices: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("matrix"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    if EVERY_CASE:
        return
    kept = {
        id(random.Random(f"{MATRIX_SEED}{name}").choice(cases))
        for name, cases in matrices.items()
        if not _is_only_proved(cases[0])
    }
    left_out = [item for cases in matrices.values() for item in cases if id(item) not in kept]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_only_proved(item: pytest.Item) -> bool:
    """Say whether one case alone would be too long for `make test`: `matrix(only_in_prove=True)`."""
    marker = item.get_closest_marker("matrix")
    return marker is not None and bool(marker.kwargs.get("only_in_prove"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each room's tests took, which are parallel jobs in CI: docs/github.md reckons with it."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = report.nodeid.partition("::")[0].removeprefix("tests/")
                seconds[folder.partition("/")[0] if "/" in folder else "root"] += report.duration
    told = ", ".join(
        f"{room} {spent:.0f} s" for room, spent in sorted(seconds.items(), key=lambda item: -item[1])
    )
    terminalreporter.write_line(f"seconds by room: {told}")


@cache
def engine_problem() -> str | None:
    """Say why there is no Docker engine, or None when one answers."""
    try:
        answer = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=20
        )
    except FileNotFoundError:
        return "there is no docker command"
    except subprocess.TimeoutExpired:
        return "the docker command did not answer within 20 s"
    return None if answer.returncode == 0 else answer.stderr.strip().splitlines()[-1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is None:
        return
    problem = engine_problem()
    if problem is None:
        return
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but no Docker engine answers: {problem}")
    pytest.skip(f"needs a Docker engine: {problem}")


@pytest.fixture(scope="module", autouse=True)
def credentials_of_its_own() -> Iterator[None]:
    """No module of tests speaks to AWS by the credentials of another one: boto3 keeps those it first saw."""
    yield
    if "boto3" in sys.modules:
        sys.modules["boto3"].DEFAULT_SESSION = None
