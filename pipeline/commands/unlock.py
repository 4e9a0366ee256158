"""The command `unlock`."""

import logging
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging")
@options.environment()
def command(run: "Run") -> "Model":
    """Break the lock that a dead run has left on an environment.

    Says whose lock it was. A holder that is still alive stops at its next write.
    """
    from pipeline.state.lock import unlock

    return unlock(run)
