"""The protection of the GitHub environment that a job deploys from, read before it deploys."""

import logging
from collections.abc import Callable, Iterator, Mapping

from pipeline.config import Environment
from pipeline.errors import ConfigError
from pipeline.github.api import GithubApi
from pipeline.github.rules import broken_rules, check_environment
from pipeline.github.settings import GithubSettings
from pipeline.preflight.checks import Problem

log = logging.getLogger(__name__)
SIGNS_IN = "ACTIONS_ID_TOKEN_REQUEST_URL"  # GitHub sets it for jobs with `id-token: write`, and for no others
BY_A_PERSON = "workflow_dispatch"


def github_checks(
    env: Environment, environ: Mapping[str, str]
) -> dict[str, Callable[[object], Iterator[Problem]]]:
    """Return the check of a job of GitHub that may sign in to AWS; elsewhere none, since no role is taken there."""
    if not environ.get(SIGNS_IN):
        log.info("- GitHub environment: not checked, because no job of GitHub signs in here")
        return {}
    return {"GitHub environment": lambda _: _check(env, environ)}


def _check(env: Environment, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what lets more than a reviewed `main` deploy, and why it cannot be known."""
    try:
        settings = GithubSettings(GithubApi.from_environment(environ["GITHUB_REPOSITORY"], environ))
    except ConfigError as error:
        yield Problem(what=error.what, fix=error.fix)
        return
    by_hand = environ.get("GITHUB_EVENT_NAME") == BY_A_PERSON
    rules = {"environment": lambda read: check_environment(read, env, by_hand=by_hand)}
    for broken in broken_rules(rules, settings).values():
        yield from (Problem(what=each.what, fix=each.fix) for each in broken)
