"""`config`: show an environment as it is understood, its schema, or what it costs. Asks nothing of AWS."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import yaml

from pipeline.account.cost import cost_of, load_prices
from pipeline.config import Environment, load_environment
from pipeline.errors import ConfigError

Say = Callable[[str], None]
View = Literal["show", "schema", "cost"]


def schema() -> str:
    """Return the JSON Schema of an environment file, as config/schema.json has it."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Environment.model_json_schema()}
    return json.dumps(described, indent=2) + "\n"


def show_config(view: View, name: str | None, directory: Path, say: Say, *, as_json: bool = False) -> None:
    """Say what was asked for. Raises ConfigError without an environment where one is needed."""
    if view == "schema":
        say(schema().rstrip())
        return
    if name is None:
        raise ConfigError(f"`config {view}` needs an environment.", fix="Name one: --env staging.")
    env = load_environment(name, directory)
    if view == "show":
        shown = env.document()
        say((json.dumps(shown, indent=2) if as_json else yaml.safe_dump(shown, sort_keys=False)).rstrip())
        return
    cost = cost_of(env, load_prices(directory))
    say(json.dumps(cost.document(), indent=2) if as_json else "\n".join(cost.sentences()))
