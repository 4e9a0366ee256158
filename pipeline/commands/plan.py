"""The command `plan`."""

import logging
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging", audited=False, reads=True)
@options.environment()
@options.release
@options.strategy
def command(run: "Run", *, release: str | None) -> "Model":
    """Show what deploy would change, call by call; change nothing."""
    from pipeline.aws.validation import require_valid
    from pipeline.cli.named_release import find_release
    from pipeline.deployment.difference import describe_plan, lines_of
    from pipeline.deployment.observe import observe, observe_live
    from pipeline.deployment.plan import plan_deployment

    wanted = find_release(release, run)
    planned = plan_deployment(wanted, run.env, observe(wanted, run))
    require_valid(planned.calls)
    result = describe_plan(wanted, run.env, planned, observe_live(run))
    for line in lines_of(result, run.env.deployment.strategy):
        log.info(line)
    return result
