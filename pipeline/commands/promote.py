"""The command `promote`."""

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


@step(example="--env production", locks=True, goes_on=UPDATE_GOES_ON)
@options.environment()
@options.release
@options.strategy
@click.option(
    "--unchecked", is_flag=True, help="Accept a release without golden requests; the audit trail says so."
)
@click.option(
    "--accept",
    multiple=True,
    metavar='GATE="REASON"',
    help="Accept this gate (quality or agreement) in spite of its verdict; the audit trail keeps the reason.",
)
def command(
    run: "Run", *, release: str | None, unchecked: bool = False, accept: tuple[str, ...] = ()
) -> "Model":
    """Deploy a release that passed in the environment before.

    Deploys, autoscales and smoke-tests it, and puts the previous release back if the smoke tests fail. The
    command `after-promotion` handles the environment before.
    """
    from pipeline.cli.named_release import find_release
    from pipeline.promotion.accepted_gates import parse_accepted
    from pipeline.promotion.promote import promote

    reasons = parse_accepted(accept)
    return promote(find_release(release, run), run, unchecked=unchecked, accept=reasons)
