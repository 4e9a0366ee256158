"""The AWS that the behaviour tests are put to: one on this machine, unless `make conformance` names the real one."""

from collections.abc import Iterator

import pytest

import local_aws
from conformance.place import Place, place_of
from testbed.serving import SETTINGS, Serving


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    named = place_of()
    if named is not None:
        yield named
        return
    root = tmp_path_factory.mktemp("conformance")
    with local_aws.start(**SETTINGS, state_dir=root, cache_dir=root) as aws:
        yield Place(aws.client, SETTINGS["time_scale"])


@pytest.fixture
def serving(place: Place) -> Iterator[Serving]:
    made = Serving(place)
    yield made
    made.close()


@pytest.fixture(scope="module")
def endpoint(place: Place) -> Iterator[tuple[Serving, str]]:
    """An endpoint of two instances for all tests of a module."""
    made = Serving(place)
    yield made, made.endpoint(made.config("one", instances=2))
    made.close()
