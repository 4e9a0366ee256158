"""Let a test marked `measures` have the machine to itself among the tests of the run (pytest-xdist).

Those tests are scheduled last. Each of them waits until the other workers are between two tests, and they wait for its end.
"""

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("measures") is not None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait outside the protocol, so that the time limit of the test does not run meanwhile."""
    with turn(folder_of_the_run(item.config), alone=item.get_closest_marker("measures") is not None):
        return (yield)


def folder_of_the_run(config: pytest.Config) -> Path | None:
    """Return the temporary folder that the workers of a run share; None in a run without workers."""
    if not hasattr(config, "workerinput"):
        return None
    factory: pytest.TempPathFactory = vars(config)["_tmp_path_factory"]
    return factory.getbasetemp().parent


@contextmanager
def turn(folder: Path | None, *, alone: bool) -> Iterator[None]:
    """Hold the machine, alone or beside others; first in, first out. Without a folder nobody waits."""
    if folder is None:
        yield
        return
    with (folder / "entry.lock").open("a") as entry, (folder / "machine.lock").open("a") as machine:
        fcntl.flock(entry, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(entry, fcntl.LOCK_UN)
        yield
