"""The account of the behaviour tests: on an AWS of this machine, unless `make conformance` names the real one."""

from collections.abc import Iterator

import pytest

import local_aws
from conformance.account import AwsAccount, account_from_environment
from testbed.serving import SETTINGS, Serving


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsAccount]:
    named = account_from_environment()
    if named is not None:
        yield named
        return
    root = tmp_path_factory.mktemp("conformance")
    with local_aws.start(**SETTINGS, state_dir=root, cache_dir=root) as aws:
        yield AwsAccount(aws.client, SETTINGS["time_scale"])


@pytest.fixture
def serving(account: AwsAccount) -> Iterator[Serving]:
    made = Serving(account)
    yield made
    made.close()


@pytest.fixture(scope="module")
def endpoint(account: AwsAccount) -> Iterator[tuple[Serving, str]]:
    """Serve an endpoint of two instances to all tests of a module."""
    made = Serving(account)
    yield made, made.endpoint(made.config("one", instances=2))
    made.close()
