"""The command `destroy`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(
    example="--env staging --confirm staging",
    locks=True,
    goes_on="AWS goes on deleting what it was asked to delete.",
)
@options.environment()
@click.option("--confirm", metavar="NAME", help="The environment's name, instead of typing it when asked.")
def command(run: "Run", *, confirm: str | None) -> "Model":
    """Delete everything that belongs to one environment alone.

    Lists the deletions first, and asks for the environment's name.
    """
    from pipeline.account.destroy import destroy

    return destroy(run, confirmed=confirm)
