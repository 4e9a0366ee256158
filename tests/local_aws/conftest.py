"""One local AWS with process instances for all tests of endpoints, and a tidy maker of endpoints."""

from collections.abc import Iterator

import pytest

import local_aws
from tests.github_issuer import GithubIssuer
from tests.local_aws.serving import SETTINGS, Serving


@pytest.fixture(scope="session")
def issuer() -> Iterator[GithubIssuer]:
    """GitHub's issuer, as this AWS sees it."""
    with GithubIssuer() as serving:
        yield serving


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, issuer: GithubIssuer) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("local-aws")
    places = {"state_dir": root / "state", "cache_dir": root / "cache", "oidc_issuers": issuer.setting}
    with local_aws.start(**SETTINGS, **places) as running:
        yield running


@pytest.fixture
def serving(aws: local_aws.Running) -> Iterator[Serving]:
    made = Serving(aws)
    yield made
    made.close()
