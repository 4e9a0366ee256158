"""The command `gc`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging --dry-run")
@options.environment(required=False)
@click.option("--dry-run", is_flag=True, help="List what would be deleted; delete nothing.")
@click.option(
    "--keep",
    type=int,
    default=5,
    show_default=True,
    metavar="N",
    help="Keep the last N releases of each environment.",
)
@click.option(
    "--days",
    type=int,
    default=14,
    show_default=True,
    metavar="N",
    help="Keep everything younger than N days.",
)
def command(run: "Run", *, config: Path, dry_run: bool, keep: int, days: int) -> "Model":
    """Delete unreferenced models, configs, alarms, images and weights.

    Keeps what any endpoint serves, the last releases of each environment, and what is young.
    """
    from pipeline.account.collect import collect
    from pipeline.cli.environments import of_same_account

    envs = of_same_account(run.env, config)
    return collect(envs, run, releases=keep, days=days, dry_run=dry_run)
