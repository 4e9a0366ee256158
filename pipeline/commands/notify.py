"""The command `notify`."""

from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run


@step(example="--env production --message failed", audited=False)
@options.environment()
@click.option("--message", metavar="TEXT", required=True, help="What happened, in one sentence.")
def command(run: "Run", *, message: str) -> "Model":
    """Notify the people who get an environment's alarms.

    Sends the message, with the address of the GitHub run, to the topic of `alarms.notify`.
    """
    from pipeline.account.notify import notify

    return notify(run, message)
