"""Staging and production in two accounts and Regions of one AWS that enforces IAM, by the committed example."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_aws.testing.github_issuer import GithubIssuer
from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, bootstrap_github
from pipeline.config import Environment, environments, load_environment
from pipeline.run import Run
from tests.pipeline.deploy_jobs import REPOSITORY, Account, forget_clients
from tests.pipeline.scene import ROOT, contract_cloud
from tests.pipeline.stage import DEPLOYMENT
from tests.pipeline.steps import CAPACITY_RPS

EXAMPLE = ROOT / "config" / "examples" / "two-accounts"
ACCESS = GithubAccess(GithubRepository.parse(REPOSITORY, "12/345"))


def example() -> dict[str, Environment]:
    """Return the environments of the example, with deployments of a second."""
    return {name: _quick(load_environment(name, EXAMPLE)) for name in environments(EXAMPLE)}


def _quick(env: Environment) -> Environment:
    given = env.document()
    given["deployment"] |= DEPLOYMENT
    given["autoscaling"]["target"] = 60 * CAPACITY_RPS
    return Environment.model_validate(given)


@contextmanager
def administrator_of(env: Environment) -> Iterator[None]:
    """Be the administrator of an environment's account while the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", env.aws.account_id)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        forget_clients(patch)
        yield


@contextmanager
def two_accounts(folder: Path) -> Iterator[Account]:
    """Bootstrap each account as its administrator; yield the jobs in both."""
    envs = example()
    settings = {"time_scale": 240, "cpu_scale": 1, "iam": "enforce", "stop_grace_seconds": 2}
    places = {"state_dir": folder / "state", "cache_dir": folder / "cache"}
    regions = tuple(env.aws.region for env in envs.values())
    with (
        GithubIssuer() as issuer,
        contract_cloud(**settings, **places, regions=regions, oidc_issuers=issuer.setting) as cloud,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cloud.environ.items():
            patch.setenv(name, value)
        roles: dict[str, str] = {}
        for env in envs.values():
            with administrator_of(env):
                run = Run.for_environment(env, folder)
                roles |= bootstrap_github(ACCESS, [env], run, list(envs.values())).roles
        yield Account(cloud, issuer, folder, envs, roles)
