"""The environments in the order in which a release goes through them."""

from pathlib import Path

from pipeline.config import Environment, environments, load_environment
from pipeline.errors import ConfigError


def chain_to(name: str, config: Path) -> tuple[Environment, ...]:
    """Return the environments that a release passes on its way to `name`, first one first."""
    chain = [load_environment(name, config)]
    while (before := chain[0].promotes_from) is not None:
        if before in {env.name for env in chain}:
            raise ConfigError(
                f"promotes_from goes round in circles at '{before}'.",
                fix="Let the first environment say promotes_from: null.",
            )
        chain.insert(0, load_environment(before, config))
    return tuple(chain)


def following(name: str, config: Path) -> Environment | None:
    """Return the environment that promotes from this one; the first by name, where several do."""
    every = (load_environment(each, config) for each in environments(config))
    return next((env for env in every if env.promotes_from == name), None)
