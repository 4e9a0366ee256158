"""The command `github-check`, which asks GitHub and nothing of AWS."""

import json
import logging
import os
from pathlib import Path

import click

from pipeline.cli import options
from pipeline.cli.command import command as make
from pipeline.errors import GithubNotReady

log = logging.getLogger(__name__)


@make(example="--github-repo ORG/REPO")
@click.option(
    "--github-repo",
    metavar="ORG/REPO",
    envvar="GITHUB_REPOSITORY",
    required=True,
    show_envvar=True,
    help="The repository whose settings are read.",
)
@options.config
@click.option("--build", hidden=True, expose_value=False, help="Accepted, as by every command; not used.")
def command(github_repo: str, config: Path, *, as_json: bool) -> None:
    """Check a GitHub repository's settings, and list each that is unsafe.

    Reads environments, branches, reviewers, variables, required checks and permissions by GitHub's API, with the
    token of GH_TOKEN (an administrator's: GH_TOKEN="$(gh auth token)"), and names the fix of each problem.
    """
    from pipeline.config import environments, load_environment
    from pipeline.github.api import GithubApi
    from pipeline.github.rules import broken_rules, rules_of
    from pipeline.github.settings import GithubSettings

    settings = GithubSettings(GithubApi.from_environment(github_repo, os.environ))
    rules = rules_of([load_environment(name, config) for name in environments(config)])
    broken = broken_rules(rules, settings)
    for name in rules:
        log.info("%s %s", "!" if name in broken else "✓", name)
    lines = [f"{name}: {each.what}\n  fix: {each.fix}" for name, found in broken.items() for each in found]
    if lines:
        raise GithubNotReady(
            f"{len(lines)} settings of {github_repo} are not safe:\n" + "\n".join(lines),
            fix=f"Correct them, then run `python -m pipeline github-check --github-repo {github_repo}` again.",
        )
    if as_json:
        click.echo(json.dumps({"repository": github_repo, "checked": [*rules]}, indent=2))
