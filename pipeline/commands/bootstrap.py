"""The command `bootstrap`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging")
@options.environment(required=False)
@click.option(
    "--github-repo",
    metavar="ORG/REPO",
    help="Deploy by CloudFormation, with a role for this repository's jobs in each environment of the "
    "account (or in --env alone).",
)
@click.option(
    "--github-ids",
    metavar="ORG_ID/REPO_ID",
    help="The repository's numeric ids, which the tokens of newer repositories carry.",
)
@click.option("--alert-email", metavar="ADDRESS", help="Recipient of alarms and of budget alerts.")
@click.option(
    "--monthly-budget", metavar="USD", type=int, help="Monthly cost of SageMaker that triggers an alert."
)
def command(
    run: "Run",
    *,
    env: str | None,
    config: Path,
    github_repo: str | None = None,
    github_ids: str | None = None,
    alert_email: str | None = None,
    monthly_budget: int | None = None,
) -> "Model":
    """Create what environments share: repository, bucket, roles.

    With --github-repo, also the roles of GitHub's jobs, by CloudFormation.
    """
    from pipeline.account.bootstrap import bootstrap
    from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, bootstrap_github
    from pipeline.cli.environments import of_same_account
    from pipeline.config import environments, load_environment

    if github_repo is not None:
        repository = GithubRepository.parse(github_repo, github_ids)
        access = GithubAccess(repository, alert_email, monthly_budget)
        envs = [run.env] if env else of_same_account(run.env, config)
        every = [load_environment(name, config) for name in environments(config)]
        return bootstrap_github(access, envs, run, every)
    if env is None:
        raise ConfigError(
            "bootstrap needs an environment or a repository.", fix="Give --env NAME, --github-repo, or both."
        )
    return bootstrap(run)
