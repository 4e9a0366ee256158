"""An act for workflows that deploy nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import local_aws
from local_aws.testing.github_issuer import GithubIssuer
from tests.github_api import GithubServer, ready
from tests.workflows.act import Act, clone


@pytest.fixture
def act(tmp_path: Path) -> Iterator[Act]:
    """Yield a runner of workflows beside an AWS without a Docker engine."""
    settings = ready("123456789012", "eu-west-1", "digits")
    with (
        GithubIssuer() as issuer,
        GithubServer(settings) as github,
        local_aws.start(instances="process") as aws,
    ):
        yield Act(clone(tmp_path / "clone"), aws, issuer, github, tmp_path)
