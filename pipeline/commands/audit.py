"""The command `audit`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env production --newest 5", audited=False)
@options.environment()
@click.option(
    "--newest", type=int, default=20, show_default=True, metavar="N", help="Show the newest N lines."
)
def command(run: "Run", *, newest: int, as_json: bool) -> "Model":
    """Show who ran which step, when, with which release and outcome."""
    from pipeline.state.audit import AuditTrail, audit_lines

    trail = AuditTrail(lines=tuple(audit_lines(run, newest)))
    if not as_json:
        for line in trail.lines:
            log.info(str(line))
    return trail
