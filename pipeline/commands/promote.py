"""The command `promote`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env production", locks=True)
@options.environment()
@options.release
@options.strategy
def command(run: "Run", *, release: str | None, config: Path) -> "Model":
    """Deploy a release that passed in the environment before.

    Deploys, autoscales and smoke-tests it, and puts the release before back if the smoke tests fail. Then
    does with the environment before what its `after_promotion` says.
    """
    from pipeline.cli.named_release import find_release
    from pipeline.config import load_environment
    from pipeline.promotion.after_promotion import after_promotion
    from pipeline.promotion.promote import promote

    result = promote(find_release(release, run), run)
    source = load_environment(str(run.env.promotes_from), config)
    after_promotion(run.in_environment(source))
    return result
