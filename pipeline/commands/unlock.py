"""The command `unlock`."""

import logging
import sys
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging")
@options.environment()
@click.option("--force", is_flag=True, help="Break it unasked, also when the run that holds it may be alive.")
def command(run: "Run", *, force: bool = False) -> "Model":
    """Break the lock that a dead run has left on an environment.

    Says whose lock it was. Asks first when that run may be alive; where nobody can answer, it then needs --force. A
    holder that is still alive stops before its next write.
    """
    from pipeline.state.lock import unlock

    return unlock(run, confirm=lambda holder: force or _is_confirmed(holder))


def _is_confirmed(holder: str) -> bool:
    """Ask on the terminal; where there is none, the answer is no."""
    return sys.stdin.isatty() and click.confirm(f"{holder} Break its lock?", err=True)
