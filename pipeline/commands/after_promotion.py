"""The command `after-promotion`."""

from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run


@step(example="--env staging")  # it takes the lock itself: an environment in use is left as it is
@options.environment()
@options.release
def command(run: "Run", *, release: str | None) -> "Model":
    """Keep, scale down or delete an endpoint whose release was promoted.

    Does what `after_promotion` in the environment's config says, unless it serves another release by now.
    """
    from pipeline.cli.named_release import find_release
    from pipeline.promotion.after_promotion import after_promotion

    return after_promotion(find_release(release, run), run)
