"""The command `rollback`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.interrupted import UPDATE_GOES_ON
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env production --strategy all-at-once", locks=True, goes_on=UPDATE_GOES_ON)
@options.environment()
@options.strategy
@click.option("--to", metavar="RELEASE", help="The release to go back to.  [default: the good one before]")
def command(run: "Run", *, to: str | None) -> "Model":
    """Put back the previous release, or a named one.

    Passes over releases that failed in this environment, and those that gc has deleted.
    """
    from pipeline.promotion.rollback import rollback

    return rollback(run, to=to)
