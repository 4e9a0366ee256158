"""Set-up of every test: an engine or the reason why not, one case of each long matrix, credentials of its own."""

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.processes", "tests.measuring", "local_aws.testing.privileged_skips"]


def seed_of_the_commit() -> int:
    """Derive a seed from the commit, so that a second run is the same run; 0 where there is none."""
    words = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return int(found.stdout[:8], 16) % 10_000 if found.returncode == 0 else 0


for name in [
    each for each in os.environ if each.startswith(("ACTIONS_", "GITHUB_", "RUNNER_")) or each == "CI"
]:
    del os.environ[name]  # a test says itself when it runs on GitHub; the runner's variables are not its own
settings.load_profile("ci")  # the same examples in each run, and no deadline by the clock
EVERY_CASE = os.environ.get("EVERY_CASE") == "1"
MATRIX_SEED = int(os.environ.get("MATRIX_SEED") or seed_of_the_commit())
os.environ["MATRIX_SEED"] = str(MATRIX_SEED)  # so that xdist's workers take the same


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a run in a shell's background ignores it, and they would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Print the seed that takes the same cases again."""
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
    """Print how long the tests of each folder took: docs/github.md has the figures, since they are parallel jobs there."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = report.nodeid.partition("::")[0].removeprefix("tests/")
                seconds[folder.partition("/")[0] if "/" in folder else "root"] += report.duration
    slowest_first = sorted(seconds.items(), key=lambda item: -item[1])
    line = ", ".join(f"{folder} {spent:.0f} s" for folder, spent in slowest_first)
    terminalreporter.write_line(f"seconds by folder: {line}")


@cache
def engine_problem() -> str | None:
    """Return the reason why there is no Docker engine, or None when one answers."""
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
    """Skip a test that needs a Docker engine where none answers."""
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
    """Keep the credentials of one module's tests from those of the next: boto3 keeps those that it saw first."""
    yield
    if "boto3" in sys.modules:
        vars(sys.modules["boto3"])["DEFAULT_SESSION"] = None
