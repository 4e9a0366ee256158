"""The environment that a command line names, and the others of its account."""

import logging
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from pipeline.account.neighbours import read_role_arn
from pipeline.aws import AwsClient
from pipeline.config import Environment, environments, load_environment, with_strategy
from pipeline.errors import AwsRefused, ConfigError
from pipeline.run import Run

log = logging.getLogger(__name__)


def environment_named(name: str, folder: Path) -> Environment:
    """Load one environment. Raises ConfigError, with the closest name where there is one."""
    known = environments(folder)
    close = get_close_matches(name, known, n=1)
    if close and name not in known:
        raise ConfigError(
            f"There is no environment '{name}'; did you mean {close[0]}?",
            fix=f"Use one of {list(known)} or add {folder / name}.yaml.",
        )
    return load_environment(name, folder)


def open_run(name: str | None, config: Path, build: Path, strategy: str) -> Run:
    """Open a run in the named environment, else in the first one of the account that the credentials are of.

    `strategy`: deploy by this one instead of the environment's; `own` keeps it. Raises ConfigError.
    """
    env = environment_named(name, config) if name else _first_of_account(config)
    if strategy != "own":
        env = with_strategy(env, strategy.replace("-", "_"))  # type: ignore[arg-type]
    return Run.for_environment(env, build)


def for_reading(run: Run) -> Run:
    """Return the run by the read role of its environment's account, where the credentials are of another account.

    Unchanged where that role is not there, or does not trust the caller: `require_account` refuses it then.
    """
    if run.aws.account_id() == run.env.aws.account_id:
        return run
    role = read_role_arn(run.env.aws)
    there = AwsClient(run.env.aws, clock=run.clock, made=run.aws.made, role=role)
    try:
        there.account_id()
    except AwsRefused as error:
        log.info(f"{role} cannot be assumed: {error.what}")
        return run
    return replace(run, aws=there)


def readable(env: Environment, run: Run) -> Run | None:
    """Return a run that may look at an environment, by the read role of another account; None, with a line, without."""
    there = for_reading(run.in_environment(env))
    if there.aws.account_id() != env.aws.account_id:
        log.warning(f"{env.name} is in account {env.aws.account_id}, which these credentials may not look at")
        return None
    return there


def _first_of_account(config: Path) -> Environment:
    """Return the first environment of the credentials' account; the first of all where none is in it."""
    first = environment_named(next(iter(environments(config)), ""), config)
    every = [load_environment(name, config) for name in environments(config)]
    if len({env.aws.account_id for env in every}) == 1:
        return first
    account = AwsClient(first.aws).account_id()
    return next((env for env in every if env.aws.account_id == account), first)


def of_same_account(env: Environment, config: Path) -> list[Environment]:
    """Return every environment of the folder that lives in the account of `env`, that one included."""
    every = [load_environment(name, config) for name in environments(config)]
    return [each for each in every if each.aws.account_id == env.aws.account_id]
