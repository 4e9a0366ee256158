"""The command `deploy`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.interrupted import UPDATE_GOES_ON
from pipeline.cli.step import step
from pipeline.commands import plan

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging", locks=True, instead={"dry_run": plan.command}, goes_on=UPDATE_GOES_ON)
@options.environment()
@options.release
@options.strategy
@click.option("--dry-run", is_flag=True, help="Do what `plan` does.")
def command(run: "Run", *, release: str | None) -> "Model":
    """Put a release on the endpoint, and wait until it is proved live.

    Proved live: the endpoint is InService, and as many distinct instances as it counts have answered with
    this release's id.
    """
    from pipeline.cli.named_release import find_release
    from pipeline.deployment.deploy import deploy

    return deploy(find_release(release, run), run)
