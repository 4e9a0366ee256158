"""The environment that a command line names, and the others of its account."""

from difflib import get_close_matches
from pathlib import Path

from pipeline.config import Environment, environments, load_environment, with_strategy
from pipeline.errors import ConfigError
from pipeline.run import Run


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
    """Open a run in the named environment, else in the first one of the folder.

    `strategy`: deploy by this one instead of the environment's; `own` keeps it. Raises ConfigError.
    """
    env = environment_named(name or next(iter(environments(config)), ""), config)
    if strategy != "own":
        env = with_strategy(env, strategy.replace("-", "_"))  # type: ignore[arg-type]
    return Run.for_environment(env, build)


def of_same_account(env: Environment, config: Path) -> list[Environment]:
    """Return every environment of the folder that lives in the account of `env`, that one included."""
    every = [load_environment(name, config) for name in environments(config)]
    return [each for each in every if each.aws.account_id == env.aws.account_id]
