"""The command `config`, which asks nothing of AWS."""

import json
from pathlib import Path

import click

from pipeline.cli import options
from pipeline.cli.command import command as make
from pipeline.errors import ConfigError


def schema() -> str:
    """Return the JSON Schema of an environment file, as config/schema.json has it."""
    from pipeline.config import Environment

    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Environment.model_json_schema()}
    return json.dumps(document, indent=2) + "\n"


@make(example="cost --env staging")
@click.argument(
    "view", required=False, default="show", type=click.Choice(["show", "schema", "cost", "alarms"])
)
@options.environment(required=False)
@options.config
@click.option("--build", hidden=True, expose_value=False, help="Accepted, as by every command; not used.")
def command(view: str, env: str | None, config: Path, *, as_json: bool) -> None:
    """Show an environment's settings, their schema, its cost, or what its alarms would do.

    VIEW is `show` (the effective settings), `schema` (JSON Schema of the files), `cost` (USD by the hour) or `alarms`
    (the chances of rolling a good release back, and of missing a bad one).
    """
    if view == "schema":
        click.echo(schema().rstrip())
        return
    if env is None:
        raise ConfigError(f"`config {view}` needs an environment.", fix="Name one: --env staging.")
    views = {"show": _settings, "cost": _cost, "alarms": _alarms}
    click.echo(views[view](env, config, as_json=as_json))


def _settings(name: str, folder: Path, *, as_json: bool) -> str:
    import yaml

    from pipeline.cli.environments import environment_named

    document = environment_named(name, folder).document()
    return (json.dumps(document, indent=2) if as_json else yaml.safe_dump(document, sort_keys=False)).rstrip()


def _cost(name: str, folder: Path, *, as_json: bool) -> str:
    from pipeline.account.cost import cost_of, load_prices
    from pipeline.cli.environments import environment_named

    env = environment_named(name, folder)
    cost = cost_of(env, load_prices(folder, env.aws.region))
    return json.dumps(cost.document(), indent=2) if as_json else "\n".join(cost.sentences())


def _alarms(name: str, folder: Path, *, as_json: bool) -> str:
    from pipeline.cli.environments import environment_named
    from pipeline.deployment.alarm_odds import alarm_odds

    found = alarm_odds(environment_named(name, folder))
    return json.dumps(found.document(), indent=2) if as_json else "\n".join(found.sentences())
