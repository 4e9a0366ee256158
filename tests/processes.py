"""Fail a test that starts a process without being marked `starts_processes`: `make check` runs all tests without it.

The interpreter's own audit events tell of every process, by whatever library it is started. A process of a fixture
counts for each test that uses the fixture, also for those that find it running.
"""

import sys
from collections.abc import Generator
from typing import Any

import pytest

STARTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.exec"}
)


class ProcessCounter:
    """Counts the processes that this one has started, and remembers which fixtures started some."""

    def __init__(self) -> None:
        self.started = 0
        self.fixtures: set[tuple[str, str]] = set()
        sys.addaudithook(self._count)

    def _count(self, event: str, _: tuple[Any, ...]) -> None:
        self.started += event in STARTS

    def is_starting(self, item: pytest.Item) -> bool:
        """Say whether a fixture of the test has started a process."""
        names = getattr(item, "fixturenames", ())
        return any(name in names and item.nodeid.startswith(base) for base, name in self.fixtures)


_counter = ProcessCounter()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    before = _counter.started
    try:
        return (yield)
    finally:
        if _counter.started > before:
            _counter.fixtures.add((fixturedef.baseid, fixturedef.argname))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    before = _counter.started
    yield
    if item.get_closest_marker("starts_processes"):
        return
    if _counter.started > before or _counter.is_starting(item):
        pytest.fail(
            f"{item.nodeid} starts a process: mark it with @pytest.mark.starts_processes", pytrace=False
        )
