"""The command `autoscale`."""

import logging
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging", locks=True)
@options.environment()
@options.release
def command(run: "Run", *, release: str | None) -> "Model":
    """Put scaling bounds and policies in force, and read them back."""
    from pipeline.autoscaling.autoscale import autoscale
    from pipeline.cli.named_release import find_release
    from pipeline.deployment.observe import require_live
    from pipeline.verification.stored_evidence import find_capacity

    wanted = find_release(release, run)
    capacity = find_capacity(wanted.id, run)
    require_live(wanted, run)
    return autoscale(run, capacity)
