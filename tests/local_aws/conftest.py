"""One local AWS with process instances for all tests of endpoints, and a tidy maker of endpoints."""

from collections.abc import Iterator

import pytest

import local_aws
from tests.local_aws.serving import SETTINGS, Serving


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("local-aws")
    with local_aws.start(**SETTINGS, state_dir=root / "state", cache_dir=root / "cache") as running:
        yield running


@pytest.fixture
def serving(aws: local_aws.Running) -> Iterator[Serving]:
    made = Serving(aws)
    yield made
    made.close()
